// Many questions in one request: what is asked while one is under way goes together in the next.

/**
 * Answers `ask(item, signal)`, whose items `send(items)` carries: at most `most` in a request, `atOnce` requests at a time
 * (a further one only for a full lot). It answers an outcome for each item, in their order; one that is an Error is that
 * item's alone. What fails as a whole is told to all of them, unless `isOnes(error)`: then each is asked by itself.
 * `turn(go)` says when a lot goes; it is made up only then. An item that is given up before that is left out.
 */
export function together(send, { most, atOnce = 1, turn = (go) => go(), isOnes = () => false }) {
  const waiting = [];
  let underWay = 0;

  async function carry(lot) {
    let outcomes;
    try {
      outcomes = await send(lot.map(({ item }) => item));
    } catch (error) {
      if (lot.length > 1 && isOnes(error)) {
        for (const each of lot) await carry([each]);
        return;
      }
      outcomes = lot.map(() => error);
    }
    lot.forEach(({ resolve, reject }, place) => (outcomes[place] instanceof Error ? reject : resolve)(outcomes[place]));
  }

  async function take() {
    const lot = [];
    while (waiting.length && lot.length < most) {
      const each = waiting.shift();
      if (each.signal?.aborted) each.reject(each.signal.reason);
      else lot.push(each);
    }
    if (lot.length) await carry(lot);
  }

  async function go() {
    if (!waiting.length || underWay === atOnce || (underWay && waiting.length < most)) return;
    underWay += 1;
    await turn(take);
    underWay -= 1;
    go();
  }

  return (item, signal) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, signal, resolve, reject });
      go();
    });
}
