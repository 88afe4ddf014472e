// A page of a package's pipeline.onnx alone: pipeline.html?model=/artifacts/NAME/VERSION/pipeline.onnx
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1;
const form = document.querySelector("form");
const file = new URLSearchParams(location.search).get("model");
const session = await ort.InferenceSession.create(file);

for (const { name } of session.inputMetadata) {
  const label = document.createElement("label");
  label.append(`${name} `, Object.assign(document.createElement("input"), { name }));
  form.append(label);
}
form.addEventListener("input", predict);
await predict();

async function predict() {
  const typed = new FormData(form);
  const feeds = session.inputMetadata.map(({ name, type }) => [name, tensor(type, typed.get(name))]);
  const [y] = Object.values(await session.run(Object.fromEntries(feeds)));
  document.querySelector("output").textContent = Array.from(y.data).join(", ");
}

/** Parses what was typed: a level, a number, or a date such as 2024-03-09. */
function tensor(type, typed) {
  const text = typed.trim().normalize();
  if (type === "string") return new ort.Tensor(type, [text], [1, 1]);
  const number = Number.isNaN(Number(text)) ? Date.parse(text) / 1000 : Number(text);
  return new ort.Tensor(type, [text === "" ? NaN : number], [1, 1]);
}
