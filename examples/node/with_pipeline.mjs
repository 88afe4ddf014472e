// Predict a row with a package's pipeline.onnx alone; dates are text, missing values are left out:
// node with_pipeline.mjs pipeline.onnx '{"size": 71.5, "region": "north", "opened": "2024-03-09"}'
import { InferenceSession, Tensor } from "onnxruntime-node";

const [file, text] = process.argv.slice(2);
const row = JSON.parse(text);
const session = await InferenceSession.create(file);
const feeds = session.inputMetadata.map(({ name, type }) => [name, tensor(type, row[name])]);
const [y] = Object.values(await session.run(Object.fromEntries(feeds)));
console.log(Array.from(y.data));

function tensor(type, value) {
  if (type === "string") return new Tensor(type, [String(value ?? "").trim().normalize()], [1, 1]);
  const number = typeof value === "string" ? Date.parse(value) / 1000 : (value ?? NaN);
  return new Tensor(type, [number], [1, 1]);
}
