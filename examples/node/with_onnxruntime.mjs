// ONNX Runtime for Node.js: node with_onnxruntime.mjs artifacts/orchard/1
// Exits with 0 if every golden row is within its bound; else names the worst and exits with 1.
import { readFile } from "node:fs/promises";
import { InferenceSession, Tensor } from "onnxruntime-node";

const folder = process.argv[2];
const read = async (name) => JSON.parse(await readFile(`${folder}/${name}`, "utf8"));
const golden = await read("golden.json");
const manifest = await read("manifest.json");
// The names come from manifest.json because this binding doesn't show the model's metadata.
const { dtype, features, targets, columns } = manifest.schema;

if (golden.inputs) {
  const Numbers = dtype === "float64" ? Float64Array : Float32Array;
  const rows = Numbers.from(golden.inputs.flat());
  const x = new Tensor(dtype, rows, [golden.inputs.length, features.length]);
  check("golden rows", golden, await answers("model.onnx", { x }));
}
if (golden.raw) {
  const named = columns.map(({ name, kind }) => [name || "Unnamed: 0", kind]); // a header may have no name
  const feeds = named.map(([name, kind]) => [name, column(kind, golden.raw.columns[name])]);
  check("raw golden rows", golden.raw, await answers("pipeline.onnx", Object.fromEntries(feeds)));
}

async function answers(file, feeds) {
  const session = await InferenceSession.create(`${folder}/${file}`);
  return Object.values(await session.run(feeds))[0].data;
}

function column(kind, values) {
  const isText = kind === "category";
  const data = isText ? values.map((text) => text ?? "") : values.map((number) => number ?? NaN);
  return new Tensor(isText ? "string" : "float64", data, [values.length, 1]);
}

// The error as a share of its bound; null is a row that has no answer, which is NaN.
function shareOf(answer, exact, bound) {
  if (Number.isNaN(answer) !== (exact === null)) return Infinity;
  return exact === null ? 0 : Math.abs(answer - exact) / bound;
}

function check(what, { outputs, bounds }, found) {
  let worst = { share: -1 };
  outputs.forEach((row, i) =>
    row.forEach((exact, k) => {
      const answer = found[i * targets.length + k];
      const bound = bounds[i][k];
      const share = shareOf(answer, exact, bound);
      if (share > worst.share) worst = { share, i, target: targets[k], answer, exact, bound };
    }),
  );
  const { share, i, target, answer, exact, bound } = worst;
  if (share <= 1) {
    const largest = `${Math.round(100 * share)}%`;
    console.log(`${manifest.name}: ${outputs.length} ${what}, at most ${largest} of the bound`);
  } else {
    console.error(
      `golden row ${i}, target ${target}: the answer ${answer} is not within ${exact} ± ${bound}`,
    );
    process.exitCode = 1;
  }
}
