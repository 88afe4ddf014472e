// A field for each feature of a linear model and, as one types, what it predicts.
//
// Self-contained: it imports nothing, and its styles stay inside its own shadow root. Colours are
// the page's color-scheme's.

const STYLE = `
  :host { display: block; --line: #8886; --quiet: color-mix(in srgb, CanvasText 65%, Canvas); }
  .fields, dl { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(13rem, 100%), 1fr)); }
  label, dt { display: block; overflow-wrap: anywhere; }
  input { box-sizing: border-box; width: 100%; padding: .45rem .6rem; font: inherit; font-variant-numeric: tabular-nums;
          color: FieldText; background: Field; border: 1px solid var(--quiet); border-radius: .4rem; }
  input:focus-visible { outline: 2px solid #48c; outline-offset: 1px; }
  input.beyond, input:invalid { border-color: #c60; border-width: 2px; padding: calc(.45rem - 1px) calc(.6rem - 1px); }
  .range, dt { color: var(--quiet); }
  .range { margin: .25rem 0 0; font-size: .875rem; font-variant-numeric: tabular-nums; }
  [role=status] { margin-top: 1.5rem; padding: 1rem; border: 1px solid var(--line); border-radius: .4rem; }
  dl, dd, [role=status] p { margin: 0; }
  dd { font-size: 1.6rem; line-height: 1.3; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
`;

/**
 * Draws the fields and the predictions, and keeps the predictions up to date.
 *
 * @param {HTMLElement} place - Where they are drawn.
 * @param {object} model
 * @param {string[]} model.features - Names, in the order in which `predict` takes them.
 * @param {string[]} model.targets - Names, in the order in which `predict` answers.
 * @param {number[]} model.means - Of the features over the training rows: what the fields start with.
 * @param {[number, number][]} model.ranges - The features' least and largest values there.
 * @param {(row: number[]) => ArrayLike<number> | Promise<ArrayLike<number>>} predict
 */
export function showPredictor(place, { features, targets, means, ranges }, predict) {
  const root = place.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];

  const fields = features.map((name, j) => field(name, j, means[j], ranges[j]));
  const form = make("form", { className: "fields" }, ...fields.map(({ box }) => box));
  const status = make("div", { role: "status" });
  root.append(form, status);

  let latest = 0;
  const update = async () => {
    const mine = (latest += 1);
    fields.forEach(({ mark }) => mark());
    const shown = await answer().catch((error) => [make("p", { textContent: error.message })]);
    // An answer that a later one overtook is no longer to what the fields say.
    if (mine === latest) status.replaceChildren(...shown);
  };
  const answer = async () => {
    const empty = fields.findIndex(({ input }) => Number.isNaN(input.valueAsNumber));
    if (empty >= 0) throw new Error(`${features[empty]} needs a number`);
    const answers = await predict(fields.map(({ input }) => input.valueAsNumber));
    return [make("dl", {}, ...targets.map((name, k) => prediction(name, answers[k])))];
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  return update();
}

function field(name, j, mean, [least, largest]) {
  const round = rounding(largest - least);
  const between = `${round(least)} to ${round(largest)}`;
  const input = make("input", { id: `x${j}`, type: "number", step: "any", required: true });
  input.value = round(mean);
  const range = make("p", { id: `range${j}`, className: "range" });
  input.setAttribute("aria-describedby", range.id);
  const mark = () => {
    const beyond = input.valueAsNumber < least || input.valueAsNumber > largest;
    input.classList.toggle("beyond", beyond);
    range.textContent = beyond ? `outside the training range, ${between}` : between;
  };
  const label = make("label", { htmlFor: input.id, textContent: name });
  return { box: make("div", {}, label, input, range), input, mark };
}

/** Returns a function that rounds to about a thousandth of the range. */
function rounding(range) {
  const digits = range > 0 ? 3 - Math.floor(Math.log10(range)) : 100;
  return (value) => (digits > 20 ? value : Number(value.toFixed(Math.max(0, digits))));
}

function prediction(name, answer) {
  const rounded = Number(answer.toPrecision(6));
  const value = make("data", { value: String(answer), textContent: String(rounded) });
  return make("div", {}, make("dt", { textContent: name }), make("dd", {}, value));
}

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
