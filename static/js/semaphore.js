// A few at a time.

/** Runs at most `most` at once of what it is given; of what waits, the most urgent (then the oldest) goes next. */
export function gate(most) {
  const waiting = [];
  let running = 0;
  return async (urgency, work) => {
    if (running < most) running += 1;
    else await new Promise((go) => {
      const later = waiting.findIndex((each) => each.urgency < urgency);
      waiting.splice(later < 0 ? waiting.length : later, 0, { urgency, go });
    });
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next.go();
      else running -= 1;
    }
  };
}
