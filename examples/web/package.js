// Reads a gradline package over HTTP and runs it with ONNX Runtime Web.

/**
 * Returns the package's manifest, golden rows and a function from rows to answers.
 *
 * @param {object} ort - The onnxruntime-web module.
 * @param {string} address - The version's folder, such as "artifacts/orchard/1".
 */
export async function openPackage(ort, address) {
  const [manifest, golden, model] = await Promise.all([
    fetched(`${address}/manifest.json`).then((response) => response.json()),
    fetched(`${address}/golden.json`).then((response) => response.json()),
    fetched(`${address}/model.onnx`).then((response) => response.arrayBuffer()),
  ]);
  const { dtype, features } = manifest.schema;
  const Numbers = dtype === "float64" ? Float64Array : Float32Array;
  const session = await ort.InferenceSession.create(new Uint8Array(model), {
    executionProviders: ["wasm"],
  });
  const predict = async (rows) => {
    const x = new ort.Tensor(dtype, Numbers.from(rows.flat()), [rows.length, features.length]);
    return (await session.run({ x })).y.data;
  };
  return { manifest, golden, predict };
}

async function fetched(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  return response;
}
