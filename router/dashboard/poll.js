// One page of the router after the other, as JSON, in bounded time.
const TIMEOUT_MS = 1500;
const EVERY_MS = 1000, HIDDEN_MS = 5000, BACKOFF_MAX_MS = 4000;

const deadline = () => AbortSignal.timeout(TIMEOUT_MS);

// Throws an Error whose message can be shown.
export async function ask(path, signal = deadline()) {
  let answer, body;
  try {
    answer = await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", signal });
    body = await answer.json();
  } catch (e) {
    throw new Error(e.name === "TimeoutError" ? `no answer in ${TIMEOUT_MS / 1000} s`
      : answer ? `the answer (status ${answer.status}) cannot be read` : "cannot be reached");
  }
  if (!answer.ok) throw new Error(body.error ?? body.why ?? `status ${answer.status}`);
  return body;
}

// A list that is told in pages, whole: `next` of one page is `after` of the following one. All have one deadline, as a
// turn waits for the slowest of what it asks.
export async function askAll(path, name) {
  const all = [], signal = deadline();
  for (let after = null;;) {
    const behind = after === null ? "" : `&after=${encodeURIComponent(after)}`;
    const page = await ask(`${path}?limit=1000${behind}`, signal);
    all.push(...page[name]);
    if (page.next === null || page.next === after) return { [name]: all };
    after = page.next;
  }
}

// Calls turn() again and again: once a second, less often in a hidden tab, and ever less often while it fails.
export function repeat(turn) {
  let failures = 0;
  const next = async () => {
    const began = performance.now();
    failures = (await turn()) ? 0 : failures + 1;
    const pause = failures ? Math.min(BACKOFF_MAX_MS, EVERY_MS * 2 ** (failures - 1) / 2)
      : document.hidden ? HIDDEN_MS : EVERY_MS;
    setTimeout(next, Math.max(100, pause - (failures ? 0 : performance.now() - began)));
  };
  next();
}
