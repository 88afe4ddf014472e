// Checks the package's proof on the machine that predicts.

/** Computes the error as a share of its bound; null is a row that has no answer, which is NaN. */
function shareOf(answer, exact, bound) {
  if (Number.isNaN(answer) !== (exact === null)) return Infinity;
  return exact === null ? 0 : Math.abs(answer - exact) / bound;
}

/**
 * Compares an engine's answers to the golden rows with their bounds.
 *
 * @param {object} golden - `inputs`, `outputs` and `bounds` of golden.json, row by row.
 * @param {string[]} targets
 * @param {(rows: Array[]) => Promise<ArrayLike<number>>} predict - From rows to answers, row by row.
 * @returns {Promise<{within: boolean, verdict: string}>}
 */
export async function checkGolden(golden, targets, predict) {
  const answers = await predict(golden.inputs);
  let worst = { share: -1 };
  golden.outputs.forEach((outputs, row) =>
    outputs.forEach((exact, k) => {
      const answer = answers[row * targets.length + k];
      const bound = golden.bounds[row][k];
      const share = shareOf(answer, exact, bound);
      if (share > worst.share) worst = { share, row, target: targets[k], answer, exact, bound };
    }),
  );
  const { share, row, target, answer, exact, bound } = worst;
  const within = share <= 1;
  const verdict = within
    ? `${golden.inputs.length} golden rows, at most ${Math.round(100 * share)}% of the bound`
    : `golden row ${row}, target ${target}: the answer ${answer} is not within ${exact} ± ${bound}`;
  return { within, verdict };
}
