import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import "../../runtime/gradline/presentation/terms.js";
import { checkGolden } from "./golden.js";
import { openPackage } from "./package.js";

// One row of one matrix product is too little work for a second thread.
ort.env.wasm.numThreads = 1;

const asked = new URLSearchParams(location.search).get("package");
const verdict = document.getElementById("verdict");

/** Shows the page; predicts nothing before the golden rows are checked. */
async function start() {
  const [{ manifest, golden, isTable, predict }] = await Promise.all([
    openPackage(ort, asked ?? "../../artifacts/orchard/1"),
    loadPanel("../../runtime/gradline/presentation/panel.html"),
  ]);
  document.title = document.querySelector("h1").textContent = manifest.name;
  const check = await checkGolden(golden, manifest.schema.targets, predict);
  if (!check.within) throw new Error(`This browser computes wrongly: ${check.verdict}`);

  const panel = document.querySelector("gradline-panel");
  await panel.show({ ...manifest, predict: (row, values) => predict([isTable ? values : row]) });
  verdict.textContent = `Checked in this browser: ${check.verdict}.`;
}

/** Defines <gradline-panel>; the page's policy allows the style and the script in its file. */
async function loadPanel(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  document.head.append(document.createRange().createContextualFragment(await response.text()));
}

start().catch((error) => {
  verdict.className = "warning";
  verdict.textContent = error.message;
});
