/* Compares the C code that emx-onnx-cgen makes from model.onnx with the package's golden rows:
 *
 *     cc -DREAL=float main.c -lm -o golden && ./golden artifacts/orchard/1/golden.json
 *
 * Exits with 0 if every answer is within its bound; else names the worst and exits with 1.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.c" /* void model(int N, const REAL x[N][d], REAL y[N][k]) */

static void *room_for(size_t count, size_t size) {
    void *room = calloc(count, size);
    if (room == NULL) {
        fputs("out of memory\n", stderr);
        exit(2);
    }
    return room;
}

static char *contents(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *text = room_for(size + 1, 1);
    size = fread(text, 1, size, file);
    text[size] = '\0';
    fclose(file);
    return text;
}

/* Returns the numbers in the list of rows under this key. Between a key and the next quote,
 * golden.json has only numbers, commas, brackets and blanks. */
static double *numbers(const char *text, const char *key, int *rows, int *columns) {
    const char *found = strstr(text, key);
    if (found == NULL) {
        fprintf(stderr, "golden.json has no %s\n", key);
        exit(2);
    }
    double *values = room_for(strlen(found), sizeof(double));
    int count = 0;
    *rows = -1; /* the list's own bracket */
    for (const char *at = found + strlen(key); *at != '\0' && *at != '"';) {
        char *end;
        const double value = strtod(at, &end);
        if (end > at) {
            values[count++] = value;
            at = end;
        } else {
            *rows += *at++ == '[';
        }
    }
    *columns = count / *rows;
    return values;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fputs("usage: golden golden.json\n", stderr);
        return 2;
    }
    const char *text = contents(argv[1]);
    if (strstr(text, sizeof(REAL) == 4 ? "\"float32\"" : "\"float64\"") == NULL) {
        fputs("REAL is not this package's dtype: float for float32, double for float64\n", stderr);
        return 2;
    }
    int n, d, k;
    const double *inputs = numbers(text, "\"inputs\":", &n, &d);
    const double *exact = numbers(text, "\"outputs\":", &n, &k);
    const double *bounds = numbers(text, "\"bounds\":", &n, &k);

    REAL *x = room_for((size_t)n * d, sizeof(REAL));
    REAL *y = room_for((size_t)n * k, sizeof(REAL));
    for (int i = 0; i < n * d; i++) x[i] = (REAL)inputs[i];
    model(n, (const void *)x, (void *)y);

    double largest = -1;
    int worst = 0;
    for (int i = 0; i < n * k; i++) {
        const double share = isnan(y[i]) ? INFINITY : fabs(y[i] - exact[i]) / bounds[i];
        if (share > largest) {
            largest = share;
            worst = i;
        }
    }
    if (largest <= 1) {
        printf("%d golden rows, at most %.0f%% of the bound\n", n, 100 * largest);
        return 0;
    }
    fprintf(stderr, "golden row %d, target %d: the answer %.17g is not within %.17g ± %.3g\n",
            worst / k, worst % k, (double)y[worst], exact[worst], bounds[worst]);
    return 1;
}
