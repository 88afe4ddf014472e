// Turns what a person pastes or enters into instances by name, and writes code that sends them.
// Loaded as a script or as a module, it defines `gradline.rows`.
{
  const OFFSET = /^[+-]\d\d:\d\d$/;
  const MONTHS = [
    ...["January", "February", "March", "April", "May", "June", "July"],
    ...["August", "September", "October", "November", "December"],
  ];
  const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

  // Finds a zone's offset from UTC, such as +02:00, at an instant in milliseconds.
  const offsetOf = (zone, instant) => {
    if (zone === "UTC") return "+00:00";
    if (OFFSET.test(zone)) return zone;
    const format = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" });
    const { value } = format.formatToParts(instant).find(({ type }) => type === "timeZoneName");
    return value.slice(3, 9) || "+00:00";
  };

  const ahead = (offset) => {
    const [hours, minutes] = offset.slice(1).split(":").map(Number);
    return (offset[0] === "-" ? -1 : 1) * (hours * 60 + minutes) * 60_000;
  };

  // Finds a zone's offset when its clocks show this time.
  const offsetAt = (zone, clock) => {
    const guess = clock - ahead(offsetOf(zone, clock));
    return offsetOf(zone, guess);
  };

  /** Writes a time, in seconds of the column's clock, as the training table has it. */
  const timeText = ({ format, zone }, seconds) => {
    const date = new Date(seconds * 1000);
    const iso = date.toISOString();
    const offset = zone === undefined ? "" : offsetAt(zone, seconds * 1000);
    const two = (number) => String(number).padStart(2, "0");
    if (format === undefined) {
      if (zone !== undefined) return `${iso.slice(0, 19)}${offset}`;
      return seconds % 86400 ? iso.slice(0, seconds % 60 ? 19 : 16) : iso.slice(0, 10);
    }
    const parts = {
      Y: iso.slice(0, 4), y: iso.slice(2, 4), m: iso.slice(5, 7), d: iso.slice(8, 10), H: iso.slice(11, 13),
      M: iso.slice(14, 16), S: iso.slice(17, 19), f: "000000", z: offset || "+00:00", "%": "%",
      B: MONTHS[date.getUTCMonth()], b: MONTHS[date.getUTCMonth()].slice(0, 3),
      A: DAYS[date.getUTCDay()], a: DAYS[date.getUTCDay()].slice(0, 3),
      I: two(date.getUTCHours() % 12 || 12), p: date.getUTCHours() < 12 ? "AM" : "PM",
    };
    return format.replaceAll(/%(.)/g, (all, letter) => parts[letter] ?? all);
  };

  /** Makes an instance of parsed values: seconds become text, NaN becomes null. */
  const instanceOf = (columns, values) =>
    Object.fromEntries(columns.map((column, place) => {
      const value = values[place];
      if (value === "" || Number.isNaN(value ?? NaN)) return [column.name, null];
      const isTime = column.kind === "time" && typeof value === "number";
      return [column.name, isTime ? timeText(column, value) : value];
    }));

  // Escapes characters that are invisible or change the direction of text.
  const visible = (code) =>
    code.replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu, (found) =>
      Array.from({ length: found.length }, (_, at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, "0")}`).join(""));

  const json = (value) => visible(JSON.stringify(value));

  /** Writes an instance as JSON, or with `None` as Python. */
  const literal = (instance, missing = "null") =>
    `{${Object.entries(instance).map(([name, value]) => `${json(name)}: ${value === null ? missing : json(value)}`).join(", ")}}`;

  /** Code that asks for a prediction. It reads the token from the environment, so that it can be shared. */
  const snippets = {
    curl: (url, instance, token) => {
      const body = `{"instances": [${literal(instance)}]}`.replaceAll("'", "'\\''");
      return `curl ${url} ${token ? '-H "Authorization: Bearer $TOKEN" ' : ""}-d '${body}'`;
    },
    Python: (url, instance, token) =>
      `import json, ${token ? "os, " : ""}urllib.request\n\n` +
      `body = {"instances": [${literal(instance, "None")}]}\n` +
      `request = urllib.request.Request("${url}", json.dumps(body).encode())\n` +
      (token ? 'request.add_header("Authorization", f"Bearer {os.environ[\'TOKEN\']}")\n' : "") +
      'print(json.load(urllib.request.urlopen(request))["predictions"])',
    JavaScript: (url, instance, token) =>
      `const answer = await fetch("${url}", {\n  method: "POST",\n` +
      (token ? "  headers: { Authorization: `Bearer ${process.env.TOKEN}` },\n" : "") +
      `  body: JSON.stringify({ instances: [${literal(instance)}] }),\n});\n` +
      "console.log((await answer.json()).predictions);",
  };

  /** Writes a cell of CSV. */
  const quoted = (text) => (/[",;\t\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  // Parses CSV (RFC 4180). The separator is the one that splits the first line into the expected number
  // of cells, so that numbers may contain commas; otherwise the one that gives the most cells.
  const parseCsv = (text, width) => {
    const line = text.split("\n")[0].replaceAll(/"[^"]*"/g, "");
    const cells = (mark) => line.split(mark).length;
    const marks = [";", "\t", ","];
    const fits = (mark) => cells(mark) > 1 && cells(mark) === width;
    const separator = marks.find(fits) ?? marks.reduce((a, b) => (cells(b) > cells(a) ? b : a));
    const cell = new RegExp(`(?:"((?:[^"]|"")*)"|([^${separator}\n]*))(${separator}|\n|$)`, "gy");
    const rows = [[]];
    for (const [, inQuotes, bare = "", end] of text.matchAll(cell)) {
      rows.at(-1).push(inQuotes?.replaceAll('""', '"') ?? bare.trim());
      if (end === "\n") rows.push([]);
      if (end === "") break;
    }
    return rows.filter((row) => row.some((found) => found !== ""));
  };

  // Checks whether a cell may be a column's name: neither a number nor a token for a missing value.
  const isWord = (cell) =>
    /\p{L}/u.test(cell) && Number.isNaN(Number(cell)) && !/^[+-]?(nan|n\/?a|null|none|inf)$/i.test(cell);

  // Puts rows into the order of the model's columns, by the header if there is one.
  const inOrder = (rows, columns) => {
    const [first] = rows;
    const wanted = columns.map(({ name }) => name.trim());
    const known = (name) => first.includes(name);
    const isPlain = columns.every(({ kind, fill }) => kind === "number" && fill === undefined);
    const named =
      wanted.every(known) || (first.some(isWord) && wanted.some(known)) || (isPlain && first.every(isWord));
    if (!named) return rows;
    const order = wanted.map((name) => first.indexOf(name));
    const lacking = wanted[order.indexOf(-1)];
    if (lacking !== undefined) throw new Error(`the header has no column ${lacking}`);
    return rows.slice(1).map((row) => order.map((at) => row[at]));
  };

  // A package of format 2 reads text as its training table had it. The first format takes numbers.
  const valueOf = (text, column, row, hasTerms) => {
    if (column.kind === "category" || hasTerms) return text;
    if (text === "" && column.fill !== undefined) return null;
    const number = Number(text);
    if (text && Number.isFinite(number)) return number;
    const point = /^[+-]?\d+,\d+$/.test(text) ? `; write ${text.replace(",", ".")}` : "";
    throw new Error(`row ${row}: ${column.name}: ${text ? `${text} is not a number${point}` : "the value is missing"}`);
  };

  /** Reads pasted CSV as instances of the columns. */
  const pasted = (text, columns, hasTerms) => {
    const rows = parseCsv(text.replaceAll("\r\n", "\n"), columns.length);
    if (!rows.length) throw new Error("paste a row first");
    const found = inOrder(rows, columns).map((row, i) => {
      if (row.length !== columns.length || row.includes(undefined)) {
        const cells = row.filter((cell) => cell !== undefined).length;
        throw new Error(`row ${i + 1}: ${cells} values, expected ${columns.length}`);
      }
      return instanceOf(columns, columns.map((column, place) => valueOf(row[place], column, i + 1, hasTerms)));
    });
    if (!found.length) throw new Error("there are no rows below the header");
    return found;
  };

  globalThis.gradline = { ...globalThis.gradline, rows: { instanceOf, pasted, quoted, snippets, timeText } };
}
