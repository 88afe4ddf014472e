// ONNX Runtime for Node.js: node with_onnxruntime.mjs artifacts/orchard/1
// Exits with 0 if every golden row is within its bound; else names the worst and exits with 1.
import { readFile } from "node:fs/promises";
import { InferenceSession, Tensor } from "onnxruntime-node";

const folder = process.argv[2];
const read = async (name) => JSON.parse(await readFile(`${folder}/${name}`, "utf8"));
const golden = await read("golden.json");
const manifest = await read("manifest.json");
const { dtype, features, targets } = manifest.schema;

// The names come from manifest.json because this binding doesn't show the model's metadata.
const session = await InferenceSession.create(`${folder}/model.onnx`);
const Numbers = dtype === "float64" ? Float64Array : Float32Array;
const rows = Numbers.from(golden.inputs.flat());
const x = new Tensor(dtype, rows, [golden.inputs.length, features.length]);
const { y } = await session.run({ x });

let worst = { share: -1 };
golden.outputs.forEach((outputs, row) =>
  outputs.forEach((exact, k) => {
    const answer = y.data[row * targets.length + k];
    const bound = golden.bounds[row][k];
    const share = Number.isNaN(answer) ? Infinity : Math.abs(answer - exact) / bound;
    if (share > worst.share) worst = { share, row, target: targets[k], answer, exact, bound };
  }),
);
if (worst.share <= 1) {
  const largest = `${Math.round(100 * worst.share)}%`;
  console.log(`${manifest.name}: ${golden.inputs.length} golden rows, at most ${largest} of the bound`);
} else {
  const { row, target, answer, exact, bound } = worst;
  console.error(
    `golden row ${row}, target ${target}: the answer ${answer} is not within ${exact} ± ${bound}`,
  );
  process.exitCode = 1;
}
