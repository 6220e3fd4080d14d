// The state of the page, and all that can be done with it. Views call its methods and are drawn again when it has changed.

import { apiKey, ask, models, sendThumb } from './api.js';
import * as history from './history.js';

const SAID_MAX = 2000;

// What the model is to read: no messages that a filter refused, no answers without text.
function toSend(messages) {
    return messages.filter((message) => message.content && !message.refused);
}

export class Talk {
    constructor() {
        this.views = new Set();
        this.chats = history.all();
        this.conversation = history.load(location.hash.slice(1)) ?? history.create();
        this.running = null; // {controller, answer}: an answer is on its way; answer is null before its first part
        this.failure = null; // an ApiError: why the last message has no whole answer
        this.failedAt = 0;
        this.wantsKey = null; // "missing" or "refused": the server asks for its API key
        this.afterKey = new Map(); // what is done again once there is one, by name
        this.models = [];
        this.takesFeedback = true;
        this.notice = ''; // something went wrong beside the conversation
        this.said = ''; // for who reads by ear
        history.watch(() => this.changed({ chats: history.all() }));
        addEventListener('hashchange', () => this.open(location.hash.slice(1)));
        this.loadModels();
    }

    // Calls `view` after each change; returns how to end that.
    watch(view) {
        this.views.add(view);
        return () => this.views.delete(view);
    }

    changed(fields = {}) {
        Object.assign(this, fields);
        cancelAnimationFrame(this.frame);
        this.frame = null;
        this.views.forEach((view) => view());
    }

    // The same at the next picture that the browser draws: parts of an answer come faster.
    changedSoon() {
        this.frame ??= requestAnimationFrame(() => this.changed());
    }

    // --- the server ---

    async loadModels() {
        try {
            this.changed({ models: await models(), notice: '' });
        } catch (error) {
            this.failed(error, 'models', () => this.loadModels());
        }
    }

    // Whatever is asked for a key is done again with it; other errors are told.
    failed(error, name, again) {
        if (error.status === 401) {
            this.afterKey.set(name, again);
            this.changed({ wantsKey: apiKey.get() === null ? 'missing' : 'refused' });
        } else {
            this.changed({ notice: error.message });
        }
    }

    giveKey(key) {
        apiKey.set(key);
        if (this.models.length === 0) this.afterKey.set('models', () => this.loadModels());
        const all = [...this.afterKey.values()];
        this.refuseKey();
        all.forEach((again) => again());
    }

    refuseKey() {
        this.afterKey.clear();
        this.changed({ wantsKey: null });
    }

    forgetKey() {
        apiKey.forget();
        this.changed({ notice: 'The API key is forgotten.' });
    }

    hasKey() {
        return apiKey.get() !== null;
    }

    // --- the conversation ---

    get messages() {
        return this.conversation.messages;
    }

    keep() {
        this.conversation.updated = Date.now();
        if (!history.save(this.conversation)) {
            this.notice = 'The browser has no more room for this chat. Export and delete some, or it is lost when the page is closed.';
        }
        if (location.hash.slice(1) !== this.conversation.id) window.history.replaceState(null, '', `#${this.conversation.id}`);
        this.changed({ chats: history.all() });
    }

    send(text) {
        const content = text.trim();
        if (!content || this.running) return false;
        this.messages.push({ role: 'user', content });
        this.answer();
        return true;
    }

    stop() {
        this.running?.controller.abort();
    }

    // Asks for an answer to what there is.
    async answer() {
        const { conversation } = this;
        const controller = new AbortController();
        const sent = toSend(conversation.messages);
        let answer = null;
        let error = null;
        this.changed({ running: { controller, answer }, failure: null, notice: '', said: 'Weir is answering.' });
        this.keep();
        try {
            await ask({
                messages: sent.map(({ role, content }) => ({ role, content })),
                model: conversation.model,
                signal: controller.signal,
                onPart: (part) => {
                    answer = part;
                    if (this.running?.controller === controller) this.running.answer = part;
                    this.changedSoon();
                },
            });
        } catch (failure) {
            error = failure;
        }
        this.answered(conversation, sent, answer, error);
    }

    answered(conversation, sent, answer, error) {
        const isStopped = error?.name === 'AbortError';
        if (answer && (!error || answer.content || answer.reasoning)) {
            const ended = !error ? null : isStopped ? 'stopped' : 'broken';
            conversation.messages.push({ role: 'assistant', ...answer, ended });
        }
        if (conversation !== this.conversation) { // the reader has left it, or deleted it
            if (history.load(conversation.id)) history.save(conversation);
            this.changed({ chats: history.all() });
            return;
        }
        this.running = null;
        this.said = answer && !error ? `Weir: ${answer.content.slice(0, SAID_MAX)}` : isStopped ? 'Stopped.' : '';
        if (error && !isStopped) this.explain(error, sent);
        this.keep();
    }

    explain(error, sent) {
        const refused = error.code === 'content_filter' && /^messages\[(\d+)\]/.exec(error.param ?? '');
        if (refused && sent[refused[1]]) {
            sent[refused[1]].refused = error.message;
        } else if (error.status === 401) {
            this.failed(error, 'answer', () => this.answer());
            this.failure = error;
        } else {
            this.failure = error;
            this.failedAt = Date.now();
        }
    }

    // A new answer to the last message.
    retry() {
        if (this.running) return;
        if (this.messages.at(-1)?.role === 'assistant') this.messages.pop();
        this.answer();
    }

    // The message becomes `text`; all that followed it is gone.
    edit(index, text) {
        if (this.running || !text.trim()) return;
        this.messages.splice(index);
        this.send(text);
    }

    setModel(model) {
        this.conversation.model = model;
        if (this.messages.length > 0) this.keep();
        else this.changed();
    }

    async thumb(message, thumb) {
        const before = message.thumb;
        message.thumb = thumb;
        this.changed({ notice: '' });
        try {
            await sendThumb(message.id, thumb);
            this.said = 'Thank you for saying so.';
        } catch (error) {
            message.thumb = before;
            if (error.code === 'feedback_off') {
                this.changed({ takesFeedback: false, notice: 'This server takes no feedback.' });
            } else if (error.code === 'answer_not_found') {
                this.changed({ notice: 'The server does not remember this answer any more, so it cannot take feedback on it.' });
            } else {
                this.failed(error, 'thumb', () => this.thumb(message, thumb));
            }
        }
        this.keep();
    }

    // --- those kept ---

    leave() {
        this.stop();
        this.changed({ running: null, failure: null, notice: '', said: '' });
    }

    start() {
        this.leave();
        window.history.pushState(null, '', location.pathname);
        this.changed({ conversation: history.create(this.conversation.model) });
    }

    open(id) {
        if (id === this.conversation.id) return;
        this.leave();
        this.changed({ conversation: history.load(id) ?? history.create(this.conversation.model) });
    }

    rename(id, title) {
        const conversation = id === this.conversation.id ? this.conversation : history.load(id);
        if (!conversation) return;
        conversation.title = title.trim();
        history.save(conversation);
        this.changed({ chats: history.all() });
    }

    remove(id) {
        history.remove(id);
        if (id === this.conversation.id) this.start();
        this.changed({ chats: history.all() });
    }

    removeAll() {
        this.start();
        this.chats.forEach(({ id }) => history.remove(id));
        this.changed({ chats: history.all() });
    }

    export(id) {
        const conversation = history.load(id);
        const name = history.titleOf(conversation).replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '') || 'chat';
        history.download(`${name}.md`, 'text/markdown', history.toMarkdown(conversation));
    }

    exportAll() {
        history.download('weir-chats.json', 'application/json', JSON.stringify(this.chats, null, 2));
    }
}
