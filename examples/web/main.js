import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import { checkGolden } from "./golden.js";
import { openPackage } from "./package.js";

// One row of one matrix product has no work for a second thread.
ort.env.wasm.numThreads = 1;

const asked = new URLSearchParams(location.search).get("package");
const verdict = document.getElementById("verdict");

/** Shows the page; nothing is predicted before the golden rows are. */
async function start() {
  const [{ manifest, golden, predict }] = await Promise.all([
    openPackage(ort, asked ?? "../../artifacts/orchard/1"),
    loadPanel("../../runtime/gradline/panel.html"),
  ]);
  document.title = document.querySelector("h1").textContent = manifest.name;
  const check = await checkGolden(golden, manifest.schema.targets, predict);
  if (!check.within) throw new Error(`This browser computes wrongly: ${check.verdict}`);

  const panel = document.querySelector("gradline-panel");
  await panel.show({ ...manifest, predict: (row) => predict([row]) });
  verdict.textContent = `Checked in this browser: ${check.verdict}.`;
}

/** Defines <gradline-panel>: its file holds a style and a script, which the page's policy names. */
async function loadPanel(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  document.head.append(document.createRange().createContextualFragment(await response.text()));
}

start().catch((error) => {
  verdict.className = "warning";
  verdict.textContent = error.message;
});
