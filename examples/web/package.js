// Reads a gradline package over HTTP and runs it with ONNX Runtime Web.

/**
 * Opens a package: its pipeline.onnx if it has one, else its model.onnx.
 *
 * @param {object} ort - The onnxruntime-web module.
 * @param {string} address - The version's folder, such as "artifacts/orchard/1".
 * @returns {Promise<{manifest: object, golden: object, isTable: boolean, predict: Function}>} The
 *   manifest, golden rows and a function from rows to answers. A row is a list: of the table's
 *   columns if there is a pipeline.onnx (`isTable`), else of the graph's inputs.
 */
export async function openPackage(ort, address) {
  const read = async (file) => (await fetched(`${address}/${file}`)).json();
  const [manifest, golden] = await Promise.all([read("manifest.json"), read("golden.json")]);
  const { dtype, features, columns } = manifest.schema;
  const isTable = "pipeline.onnx" in manifest.files;
  const file = isTable ? "pipeline.onnx" : "model.onnx";
  const model = await (await fetched(`${address}/${file}`)).arrayBuffer();
  const session = await ort.InferenceSession.create(new Uint8Array(model), {
    executionProviders: ["wasm"],
  });

  const Numbers = dtype === "float64" ? Float64Array : Float32Array;
  const matrix = (rows) => ({
    x: new ort.Tensor(dtype, Numbers.from(rows.flat()), [rows.length, features.length]),
  });
  const table = (rows) =>
    Object.fromEntries(
      columns.map(({ name, kind }, place) => [
        inputOf(name),
        column(kind, rows.map((row) => row[place])),
      ]),
    );
  const column = (kind, values) =>
    kind === "category"
      ? new ort.Tensor("string", values.map((text) => text ?? ""), [values.length, 1])
      : new ort.Tensor("float64", Float64Array.from(values, (x) => x ?? NaN), [values.length, 1]);

  const feeds = isTable ? table : matrix;
  const [answers] = session.outputNames;
  const predict = async (rows) => (await session.run(feeds(rows)))[answers].data;
  return { manifest, golden: isTable ? rowsOf(golden.raw, columns) : golden, isTable, predict };
}

/** Turns raw golden rows, which are stored by column, into rows. */
function rowsOf({ columns: values, outputs, bounds }, columns) {
  const inputs = outputs.map((_, row) => columns.map(({ name }) => values[inputOf(name)][row]));
  return { inputs, outputs, bounds };
}

/** Names the graph's input of a column; a header may have no name. */
function inputOf(name) {
  return name || "Unnamed: 0";
}

async function fetched(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  return response;
}
