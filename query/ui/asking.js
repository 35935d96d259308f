// How the page asks: JSON, and an answer that comes line by line and can be given up.

const KEY = "snowmelt-query-token";

/** Asks whoever sits here for the token; set by the page. */
export const door = { open: async () => null };

let token = null;
try {
  token = sessionStorage.getItem(KEY);
} catch {
  // A browser that keeps nothing asks again after a reload.
}

function keep(word) {
  token = word;
  try {
    sessionStorage.setItem(KEY, word);
  } catch {
    // It holds for this page, then.
  }
}

/** An answer of the API; a token is asked for where one is needed. */
async function request(path, { method = "GET", sent, signal } = {}) {
  for (;;) {
    const headers = sent === undefined ? {} : { "content-type": "application/json" };
    if (token) headers.authorization = `Bearer ${token}`;
    const body = sent === undefined ? undefined : JSON.stringify(sent);
    const answer = await fetch(`api/${path}`, { method, headers, body, signal });
    if (answer.status !== 401) return answer;
    const word = await door.open();
    if (!word) throw new Error("a token is needed to ask");
    keep(word);
  }
}

async function refusal(answer) {
  const said = await answer.json().catch(() => ({}));
  const wrong = new Error(said.error?.message ?? `the answer was ${answer.status}`);
  return Object.assign(wrong, { about: said.error });
}

/** JSON; what is refused is thrown in the words of the answer. */
export async function ask(path, options) {
  const answer = await request(path, options);
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

/** What is there to be saved as a file. */
export async function file(path, sent) {
  const answer = await request(path, { method: "POST", sent });
  if (!answer.ok) throw await refusal(answer);
  return answer.blob();
}

/** Runs a statement; `on` is called with each line of the answer. */
export async function run(sql, on, signal) {
  const answer = await request("query", { method: "POST", sent: { sql }, signal });
  if (!answer.ok) throw await refusal(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let ended = false;
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const told = JSON.parse(line);
      ended ||= Boolean(told.done ?? told.error);
      on(told);
    }
    if (done) break;
  }
  if (!ended) throw new Error("the answer broke off: is the server still running?");
}
