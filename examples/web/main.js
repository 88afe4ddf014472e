import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import { checkGolden } from "./golden.js";
import { openPackage } from "./package.js";
import { showPredictor } from "./predictor.js";

// One row of one matrix product has no work for a second thread.
ort.env.wasm.numThreads = 1;

const asked = new URLSearchParams(location.search).get("package");
const verdict = document.getElementById("verdict");

/** Shows the page; nothing is predicted before the golden rows are. */
async function start() {
  const { manifest, golden, predict } = await openPackage(ort, asked ?? "../../artifacts/orchard/1");
  const { features, targets } = manifest.schema;
  document.title = document.querySelector("h1").textContent = manifest.name;
  const check = await checkGolden(golden, targets, predict);
  if (!check.within) throw new Error(`This browser computes wrongly: ${check.verdict}`);

  const of = features.map((name) => manifest.columns[name]);
  const means = of.map(({ mean }) => mean);
  const ranges = of.map(({ minimum, maximum }) => [minimum, maximum]);
  const model = { features, targets, means, ranges };
  await showPredictor(document.getElementById("predictor"), model, (row) => predict([row]));
  verdict.textContent = `Checked in this browser: ${check.verdict}.`;
}

start().catch((error) => {
  verdict.className = "warning";
  verdict.textContent = error.message;
});
