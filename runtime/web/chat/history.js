// Conversations, kept in this browser (localStorage) and nowhere else. Each has an entry of its own, so that two tabs
// do not overwrite each other's.
//
// A conversation: {id, title, updated, model, messages, before}, where model is the one chosen, "" for the server's, and
// before the messages as they were before an edit that has no answer yet. A message:
//   {role: "user", content, refused}          refused: why a filter did not let it through
//   {role: "assistant", content, ...}         the rest as api.js has it, and
//                                             ended  "stopped" by the reader, or "broken" off
//                                             thumb  "up" or "down"

const PREFIX = 'weir-chat:';
const TITLE_MAX = 60;

// What the browser has no room for, by its key: kept here as long as the page is open.
const unsaved = new Map();

export function create(model = '') {
    // crypto.randomUUID is there only where the page came by https or from this machine.
    const id = Array.from(crypto.getRandomValues(new Uint8Array(9)), (byte) => byte.toString(36).padStart(2, '0')).join('');
    return { id, title: '', updated: 0, model, messages: [] };
}

export function titleOf(conversation) {
    if (conversation.title) return conversation.title;
    const text = conversation.messages[0]?.content.trim().replace(/\s+/g, ' ') ?? '';
    return text.length > TITLE_MAX ? `${text.slice(0, TITLE_MAX - 1)}…` : text || 'New chat';
}

// null: there is none, or what is there is none.
export function load(id) {
    try {
        const found = JSON.parse(unsaved.get(PREFIX + id) ?? localStorage.getItem(PREFIX + id));
        return Array.isArray(found?.messages) ? found : null;
    } catch {
        return null;
    }
}

// All of them, the newest first.
export function all() {
    return [...new Set([...Object.keys(localStorage), ...unsaved.keys()])]
        .filter((key) => key.startsWith(PREFIX))
        .map((key) => load(key.slice(PREFIX.length)))
        .filter(Boolean)
        .sort((a, b) => b.updated - a.updated);
}

function store(key, text) {
    try {
        localStorage.setItem(key, text);
        unsaved.delete(key);
    } catch {
        unsaved.set(key, text);
    }
}

// There may be room now.
const storeUnsaved = () => [...unsaved].forEach(([key, text]) => store(key, text));

export const save = (conversation) => store(PREFIX + conversation.id, JSON.stringify(conversation));

export function remove(id) {
    unsaved.delete(PREFIX + id);
    localStorage.removeItem(PREFIX + id);
    storeUnsaved();
}

// Whether there was no room for all of them.
export const isFull = () => unsaved.size > 0;

// Calls `changed` when another tab has changed one.
export function watch(changed) {
    const listen = (event) => {
        if (event.key !== null && !event.key.startsWith(PREFIX)) return;
        storeUnsaved();
        changed();
    };
    addEventListener('storage', listen);
    return () => removeEventListener('storage', listen);
}

export function toMarkdown(conversation) {
    const turns = conversation.messages.map((message) => {
        const by = message.madeBy ? `\n\n<small>${message.madeBy.model} · prompt ${message.madeBy.prompt}</small>` : '';
        return `## ${message.role === 'user' ? 'You' : 'Weir'}\n\n${message.content}${by}`;
    });
    return `# ${titleOf(conversation)}\n\n${turns.join('\n\n')}\n`;
}

// Hands the text to the reader as a file.
export function download(name, type, text) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
