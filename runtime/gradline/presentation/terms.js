// From a table's row to a model's answer: the terms of `gradline/columns/terms.py` in JavaScript.
// Loaded as a script or as a module, it defines `gradline.inputs`, `gradline.inUnits` and
// `gradline.effects`.
{
  const DAY = 86400; // seconds
  const FUNCTIONS = {
    log: (x) => (x > 0 ? Math.log(x) : NaN),
    log1p: (x) => (1 + x > 0 ? Math.log(1 + x) : NaN), // the sum rounded first, unlike Math.log1p
    sqrt: Math.sqrt,
    time: (seconds) => seconds / DAY,
    power: (x, exponent) => Array(exponent).fill(x).reduce((product, factor) => product * factor),
    hinge: (x, start) => Math.max(x - start, 0),
  };
  const PARTS = {
    month: (date) => date.getUTCMonth() + 1,
    weekday: (date) => (date.getUTCDay() + 6) % 7, // Monday is 0
    hour: (date) => date.getUTCHours(),
  };

  /** Whether a value of a row is missing: null, undefined, NaN or the empty text. */
  const isMissing = (value) => value === "" || Number.isNaN(value ?? NaN);

  // What the level of a row is, if it is none of those that stand alone.
  const [MISSING, RARE, UNKNOWN] = ["missing", "rare", "unknown"].map(Symbol);

  const levelOf = ({ levels, missing, rare }, text) => {
    if (isMissing(text)) return missing ? MISSING : UNKNOWN;
    if (!levels.includes(text)) return UNKNOWN;
    return rare?.includes(text) ? RARE : text;
  };

  const ofCategory = ({ rare }, { function: name, level }, found) => {
    if (found === UNKNOWN) return NaN;
    if (name === "missing") return Number(found === MISSING);
    return Number(found === (level === "(rare)" && rare ? RARE : level));
  };

  const ofNumber = ({ fill = NaN }, { function: name, argument, level }, value) => {
    const gone = isMissing(value);
    if (name === "missing") return Number(gone);
    if (name in PARTS) {
      if (gone) return Number.isNaN(fill) ? NaN : 0;
      return Number(PARTS[name](new Date(value * 1000)) === level);
    }
    const known = gone ? fill : value;
    return name ? FUNCTIONS[name](known, argument) : known;
  };

  /**
   * Computes the model's inputs, in float64.
   *
   * @param {object[]} columns - `schema.columns` of manifest.json.
   * @param {object[][]} terms - `schema.terms` of manifest.json.
   * @param {Array} row - A value for each column, parsed: a number, whole seconds since 1970, or a
   *   level's text; null is missing.
   * @returns {number[]} A number for each term; NaN if the row has no answer.
   */
  const inputs = (columns, terms, row) => {
    const known = new Map(
      columns.map((column, place) => {
        const isCategory = column.kind === "category";
        const value = isCategory ? levelOf(column, row[place]) : row[place];
        return [column.name, (factor) => (isCategory ? ofCategory : ofNumber)(column, factor, value)];
      }),
    );
    const compute = (factor) => known.get(factor.column)(factor);
    return terms.map((term) => term.map(compute).reduce((product, factor) => product * factor));
  };

  /**
   * Converts what the graph answers to the targets' units.
   *
   * @param {number[]} answers - One for each target.
   * @param {?object[]} functions - `schema.target_functions` of manifest.json.
   * @param {boolean} scaled - false for the ends of intervals.
   */
  const inUnits = (answers, functions, scaled = true) =>
    answers.map((z, k) => {
      const found = functions?.[k];
      if (!found) return z;
      return Math.exp(z) * (scaled ? found.scale : 1) - (found.function === "log1p" ? 1 : 0);
    });

  // Groups terms by their columns, as gradline/explain/groups.py does.
  const groupsOf = (columns, terms) => {
    const order = new Map(columns.map(({ name }, place) => [name, place]));
    const found = new Map();
    terms.forEach((term, place) => {
      const used = [...new Set(term.map(({ column }) => order.get(column)))].sort((a, b) => a - b);
      const key = used.join();
      if (!found.has(key)) found.set(key, { used, name: used.map((at) => columns[at].name).join(":"), places: [] });
      found.get(key).places.push(place);
    });
    const first = (a, b) => a.length - b.length || a.map((at, i) => at - b[i]).find(Boolean) || 0;
    return [...found.values()].sort((a, b) => first(a.used, b.used));
  };

  /**
   * Splits each target's answer into a baseline, the answer at the training means, and each column's effect.
   *
   * @param {object} schema - `columns`, `terms` and `target_functions` of manifest.json.
   * @param {number[][]} weights - W of the graph, a row for each target.
   * @param {number[]} baselines - The graph's answers at the means.
   * @param {number[]} steps - The inputs less their means.
   * @returns {object[]} {baseline, parts: [[name, effect]], isFactor}: effects are added to the
   *   baseline, or multiply it if the target is logged.
   */
  const effects = ({ columns, terms, target_functions: functions }, weights, baselines, steps) => {
    const groups = groupsOf(columns, terms);
    return weights.map((of, k) => {
      const found = functions?.[k];
      const turn = (z) => (found ? Math.exp(z) : z);
      const sum = ({ places }) => places.reduce((total, j) => total + of[j] * steps[j], 0);
      const baseline = turn(baselines[k]) * (found ? found.scale : 1);
      return { baseline, parts: groups.map((group) => [group.name, turn(sum(group))]), isFactor: Boolean(found) };
    });
  };

  globalThis.gradline = { inputs, inUnits, effects };
}
