import './chat.css';

const log = document.getElementById("log");
const text = document.getElementById("text");
const send = document.getElementById("send");
let messages = [];
let running = null;

function add(kind, content) {
  const div = document.createElement("div");
  div.className = "turn " + kind;
  div.textContent = content;
  log.append(div);
  div.scrollIntoView({ block: "end" });
  return div;
}

/* A server with an API key asks for it once; it stays in this tab. */
function headers() {
  const key = sessionStorage.getItem("weir-key");
  return { "Content-Type": "application/json", ...(key ? { Authorization: "Bearer " + key } : {}) };
}

async function call(path, options) {
  let response = await fetch(path, { ...options, headers: headers() });
  if (response.status === 401) {
    const key = prompt("This server asks for its API key");
    if (key) {
      sessionStorage.setItem("weir-key", key);
      response = await fetch(path, { ...options, headers: headers() });
    }
  }
  if (!response.ok) {
    const body = await response.json().catch(() => null);
    throw new Error(body?.error?.message ?? "the server answered " + response.status);
  }
  return response;
}

/* Calls onData with each event's JSON. */
async function readEvents(response, onData) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the answer broke off");
    rest += value;
    const events = rest.split("\n\n");
    rest = events.pop();
    for (const event of events) {
      if (!event.startsWith("data: ")) continue;
      if (event === "data: [DONE]") return;
      onData(JSON.parse(event.slice(6)));
    }
  }
}

async function answer() {
  const turn = add("assistant", "");
  let content = "";
  let finish = null;
  running = new AbortController();
  send.textContent = "Stop";
  try {
    const response = await call("/v1/chat/completions", {
      method: "POST", signal: running.signal, body: JSON.stringify({ messages, stream: true }) });
    await readEvents(response, (chunk) => {
      const choice = chunk.choices[0];
      content += choice?.delta?.content ?? "";
      finish = choice?.finish_reason ?? finish;
      turn.textContent = content;
      turn.scrollIntoView({ block: "end" });
    });
    if (finish === "content_filter") turn.textContent = content + " [ended by a filter]";
    const made = document.createElement("div");
    made.className = "made-by";
    made.textContent = response.headers.get("weir-model") + " · prompt " + response.headers.get("weir-prompt");
    log.append(made);
    made.scrollIntoView({ block: "end" });
  } catch (error) {
    if (!content) turn.remove();
    if (error.name !== "AbortError") add("error", error.message);
  }
  messages.push({ role: "assistant", content });
  running = null;
  send.textContent = "Send";
}

function submit(event) {
  event.preventDefault();
  if (running) { running.abort(); return; }
  const content = text.value.trim();
  if (!content) return;
  text.value = "";
  messages.push({ role: "user", content });
  add("user", content);
  answer();
}

document.getElementById("form").addEventListener("submit", submit);
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
});
document.getElementById("clear").addEventListener("click", () => {
  running?.abort();
  messages = [];
  log.replaceChildren();
  text.focus();
});
call("/v1/models").then((r) => r.json())
  .then((list) => { document.getElementById("model").textContent = list.data[0]?.version ?? ""; })
  .catch((error) => add("error", error.message));
