// The state of the page, and all that can be done with it. Views call its methods and are drawn again when it has changed.

import { apiKey, ask, models, sendThumb } from './api.js';
import * as history from './history.js';

const SAID_MAX = 2000;
const FULL = 'The browser has no more room for all chats. Export and delete some, or what is new is lost when the page is closed.';

// What the model is to read: no messages that a filter refused, no answers without text.
function toSend(messages) {
    return messages.filter((message) => message.content && !message.refused);
}

export class Talk {
    constructor() {
        this.views = new Set();
        this.chats = history.all();
        this.conversation = history.load(location.hash.slice(1)) ?? history.create();
        // {controller, at, answer}: an answer is on its way and becomes messages[at]; answer is null before its first part
        this.running = null;
        this.failure = null; // an ApiError: why the last message has no whole answer
        this.failedAt = 0;
        this.wantsKey = null; // "missing" or "refused": the server asks for its API key
        this.afterKey = new Map(); // what is done again once there is one, by name
        this.models = [];
        this.takesFeedback = true;
        this.notice = ''; // something went wrong beside the conversation
        this.said = ''; // for who reads by ear
        history.watch(() => this.listed());
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

    // What is kept has changed.
    listed() {
        if (history.isFull()) this.notice = FULL;
        else if (this.notice === FULL) this.notice = '';
        this.changed({ chats: history.all() });
    }

    save(conversation) {
        history.save(conversation);
        this.listed();
    }

    // The conversation as it is now; null: it is deleted.
    kept(id) {
        return id === this.conversation.id ? this.conversation : history.load(id);
    }

    keep() {
        this.conversation.updated = Date.now();
        if (location.hash.slice(1) !== this.conversation.id) window.history.replaceState(null, '', `#${this.conversation.id}`);
        this.save(this.conversation);
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

    // Asks for an answer to the messages before `at`. It takes the place of what is there once there is something of it.
    async answer(at = this.messages.length) {
        const { conversation } = this;
        const controller = new AbortController();
        const sent = toSend(conversation.messages.slice(0, at));
        let answer = null;
        let error = null;
        this.changed({ running: { controller, at, answer }, failure: null, notice: '', said: 'Weir is answering.' });
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
        if (answer && (!error || answer.content || answer.reasoning)) {
            const ended = !error ? null : error.name === 'AbortError' ? 'stopped' : 'broken';
            conversation.messages.splice(at, Infinity, { role: 'assistant', ...answer, ended });
            delete conversation.before;
        }
        this.answered(conversation, sent, answer, error);
    }

    answered(conversation, sent, answer, error) {
        if (conversation !== this.conversation) { // the reader has left it, or deleted it
            if (history.load(conversation.id)) this.save(conversation);
            return;
        }
        const isStopped = error?.name === 'AbortError';
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
            this.failed(error, 'answer', () => this.retry());
            this.failure = error;
        } else {
            this.failure = error;
            this.failedAt = Date.now();
        }
    }

    // A new answer to the last message.
    retry() {
        if (this.running) return;
        const last = this.messages.length - 1;
        this.answer(this.messages[last]?.role === 'assistant' ? last : last + 1);
    }

    // The message becomes `text`. All that followed it is gone once there is an answer; undoEdit() until then.
    edit(index, text) {
        if (this.running || !text.trim()) return false;
        this.conversation.before ??= [...this.messages];
        this.messages.splice(index);
        return this.send(text);
    }

    undoEdit() {
        const { conversation } = this;
        if (this.running || !conversation.before) return;
        conversation.messages = conversation.before;
        delete conversation.before;
        this.failure = null;
        this.keep();
    }

    setModel(model) {
        this.conversation.model = model;
        if (this.messages.length > 0) this.keep();
        else this.changed();
    }

    async thumb(message, thumb) {
        const { id } = this.conversation;
        const before = message.thumb;
        message.thumb = thumb;
        this.changed({ notice: '' });
        try {
            await sendThumb(message.id, thumb);
            this.changed({ said: 'Thank you for saying so.' });
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
        // The reader may have left the conversation meanwhile, opened it again, or deleted it.
        const conversation = this.kept(id);
        const marked = conversation?.messages.find((each) => each.id === message.id);
        if (marked) {
            marked.thumb = message.thumb;
            this.save(conversation);
        }
    }

    // --- those kept ---

    // For another one.
    leave(conversation) {
        this.stop();
        this.afterKey.delete('answer');
        this.changed({ conversation, running: null, failure: null, notice: '', said: '' });
        this.listed();
    }

    start() {
        window.history.pushState(null, '', location.pathname);
        this.leave(history.create(this.conversation.model));
    }

    open(id) {
        if (id !== this.conversation.id) this.leave(history.load(id) ?? history.create(this.conversation.model));
    }

    rename(id, title) {
        const conversation = this.kept(id);
        if (!conversation) return;
        conversation.title = title.trim();
        this.save(conversation);
    }

    remove(id) {
        history.remove(id);
        if (id === this.conversation.id) this.start();
        else this.listed();
    }

    removeAll() {
        this.chats.forEach(({ id }) => history.remove(id));
        this.start();
    }

    export(id) {
        const conversation = this.kept(id);
        const name = history.titleOf(conversation).replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '') || 'chat';
        history.download(`${name}.md`, 'text/markdown', history.toMarkdown(conversation));
    }

    exportAll() {
        history.download('weir-chats.json', 'application/json', JSON.stringify(this.chats, null, 2));
    }
}
