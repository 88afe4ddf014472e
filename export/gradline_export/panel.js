// The model of a report, for its panel: x @ W.T + b, and how sure it is.
const data = JSON.parse(document.getElementById("model").textContent);
const rounded = data.float32 ? Math.fround : (value) => value;

function inputs(row) {
  return data.columns.flatMap(({ levels, reference, fill }, place) => {
    if (levels) {
      const own = levels.filter((level) => level !== reference);
      return own.map((level) => Number(level === row[place]));
    }
    return [Number.isNaN(row[place]) ? fill : row[place]];
  });
}

function reach(x) {
  if (!data.interval) return undefined;
  const { least, factor, centre, deviations } = data.interval;
  const step = x.map((value, j) => value - centre[j]);
  const leverage = factor.reduce(
    (sum, row, i) => sum + row.reduce((part, value, j) => part + value * step[i + j], 0) ** 2, least);
  return deviations.map((deviation) => deviation * Math.sqrt(1 + leverage));
}

function predict(row) {
  const x = inputs(row);
  const reaches = reach(x);
  return data.weights.map((weights, target) => {
    const value = weights.reduce((sum, weight, j) => sum + weight * rounded(x[j]), data.bias[target]);
    return reaches ? { value, lower: value - reaches[target], upper: value + reaches[target] } : value;
  });
}

const { columns: features, targets, order } = data;
document.querySelector("gradline-panel").show({ features, targets, predict, order });
