// The chat page.

import './chat.css';

import { render } from 'preact';
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from 'preact/hooks';

import { Answer, Failure, UndoEdit, UserMessage } from './message.jsx';
import { titleOf } from './history.js';
import { Sidebar } from './sidebar.jsx';
import { Talk } from './talk.js';
import { Dialog, Icon, IconButton } from './ui.jsx';

// Nearer to the end than this, in CSS pixels, the page follows the answer.
const FOLLOW_WITHIN = 60;
const ROWS_MAX = 8;
const EXAMPLES = ['What is 23 + 45?', 'Who are you?', 'Why is the sky blue?'];

function ModelChoice({ talk }) {
    const { models, conversation } = talk;
    if (models.length === 0) return <span class="model" id="model" />;
    if (models.length === 1) return <span class="model" id="model">{models[0].version ?? models[0].id}</span>;
    const isKnown = models.some(({ id }) => id === conversation.model);
    return (
        <select class="model" id="model" aria-label="Model" value={conversation.model}
            onChange={(event) => talk.setModel(event.currentTarget.value)}>
            <option value="">{`${models[0].id} (the server's choice)`}</option>
            {models.map(({ id, state }) => (
                <option key={id} value={id}>{state && state !== 'serving' ? `${id} (${state})` : id}</option>
            ))}
            {conversation.model && !isKnown && <option value={conversation.model}>{conversation.model} (not there now)</option>}
        </select>
    );
}

function Composer({ talk }) {
    const [text, setText] = useState('');
    const area = useRef(null);
    const isRunning = talk.running !== null;
    useLayoutEffect(() => area.current.focus(), [talk.conversation.id]);
    const submit = (event) => {
        event.preventDefault();
        if (isRunning) talk.stop();
        else if (talk.send(text)) setText('');
    };
    const onKeyDown = (event) => {
        if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            if (!isRunning) submit(event);
        } else if (event.key === 'ArrowUp' && text === '') {
            const edits = document.querySelectorAll('.turn.user button[aria-label=Edit]');
            edits[edits.length - 1]?.click();
        }
    };
    return (
        <form id="form" aria-label="Your message" onSubmit={submit}>
            <div class="composer">
                <textarea id="text" ref={area} aria-label="Message" placeholder="Write a message" value={text}
                    rows={Math.min(ROWS_MAX, text.split('\n').length)} onKeyDown={onKeyDown}
                    onInput={(event) => setText(event.currentTarget.value)} />
                <button class="main round" aria-label={isRunning ? 'Stop' : 'Send'} title={isRunning ? 'Stop (Esc)' : 'Send (Enter)'}
                    disabled={!isRunning && !text.trim()}>
                    <Icon name={isRunning ? 'stop' : 'send'} />
                </button>
            </div>
            <p class="fine hint">Enter sends, Shift+Enter begins a line. What a model writes may be wrong.</p>
        </form>
    );
}

function Welcome({ talk }) {
    return (
        <section class="welcome">
            <h1>Ask something</h1>
            <div class="examples">
                {EXAMPLES.map((text) => <button key={text} type="button" onClick={() => talk.send(text)}>{text}</button>)}
            </div>
        </section>
    );
}

function Log({ talk }) {
    const { running, conversation: { id, before } } = talk;
    const messages = running ? talk.messages.slice(0, running.at) : talk.messages;
    const main = useRef(null);
    const [isAtEnd, setIsAtEnd] = useState(true);
    const toEnd = () => main.current.scrollTo({ top: main.current.scrollHeight });
    const onScroll = () => {
        const { scrollTop, scrollHeight, clientHeight } = main.current;
        setIsAtEnd(scrollHeight - scrollTop - clientHeight < FOLLOW_WITHIN);
    };
    // A message of one's own is always shown.
    useLayoutEffect(toEnd, [id, messages.length]);
    useEffect(() => {
        if (isAtEnd) toEnd();
    });
    const last = messages.length - 1;
    const lacksAnswer = messages[last]?.role === 'user' && !messages[last].refused;
    return (
        <main id="main" ref={main} onScroll={onScroll} tabIndex={-1}>
            <div class="log">
                {messages.length === 0 && !running
                    ? <Welcome talk={talk} />
                    : <h1 class="unseen">{titleOf(talk.conversation)}</h1>}
                {messages.map((message, i) => (message.role === 'user'
                    ? <UserMessage key={`${id}:${i}`} talk={talk} message={message} index={i} />
                    : <Answer key={`${id}:${i}`} talk={talk} message={message} isLast={i === last && !running} isLive={false} />))}
                {running && <Answer key={`${id}:${messages.length}`} talk={talk} message={running.answer} isLive />}
                {!running && (talk.failure || lacksAnswer) && <Failure talk={talk} />}
                {!running && before && <UndoEdit talk={talk} />}
            </div>
            {!isAtEnd && <IconButton icon="newest" label="To the newest message" class="icon-button to-end" onClick={toEnd} />}
        </main>
    );
}

function KeyDialog({ talk }) {
    const input = useRef(null);
    const submit = (event) => {
        event.preventDefault();
        if (input.current.value.trim()) talk.giveKey(input.current.value.trim());
    };
    return (
        <Dialog title="This server asks for an API key" onClose={() => talk.refuseKey()}>
            {talk.wantsKey === 'refused' && <p class="note stopped" role="alert">The server did not accept the key.</p>}
            <form onSubmit={submit}>
                <label>API key <input ref={input} type="password" autocomplete="off" autofocus required /></label>
                <p class="fine">It is kept in this tab, until you close it.</p>
                <div class="row">
                    <button type="button" onClick={() => talk.refuseKey()}>Cancel</button>
                    <button class="main">Use this key</button>
                </div>
            </form>
        </Dialog>
    );
}

function App({ talk }) {
    const [, redraw] = useReducer((n) => n + 1, 0);
    const [isSideOpen, setIsSideOpen] = useState(false);
    useLayoutEffect(() => talk.watch(redraw), []); // before anything can have changed
    const title = titleOf(talk.conversation);
    useEffect(() => {
        document.title = `${title} · Weir`;
    }, [title]);
    useEffect(() => {
        const onKeyDown = (event) => {
            if (event.key !== 'Escape' || document.querySelector('dialog[open]')) return;
            if (isSideOpen) setIsSideOpen(false);
            else talk.stop();
        };
        addEventListener('keydown', onKeyDown);
        return () => removeEventListener('keydown', onKeyDown);
    }, [isSideOpen]);
    return (
        <>
            <a class="skip" href="#text" onClick={(event) => { event.preventDefault(); document.getElementById('text').focus(); }}>To the message field</a>
            <Sidebar talk={talk} isOpen={isSideOpen} onClose={() => setIsSideOpen(false)} />
            {isSideOpen && <div class="shade" onClick={() => setIsSideOpen(false)} />}
            <div class="page" inert={isSideOpen}>
                <header>
                    <IconButton icon="menu" label="Chats" class="icon-button menu" aria-expanded={isSideOpen} aria-controls="side"
                        onClick={() => setIsSideOpen(true)} />
                    <ModelChoice talk={talk} />
                </header>
                {talk.notice && <p class="notice" role="alert">{talk.notice} <button type="button" class="plain" onClick={() => talk.changed({ notice: '' })}>Close</button></p>}
                <Log talk={talk} />
                <Composer talk={talk} />
            </div>
            <div class="unseen" role="status" aria-live="polite">{talk.said}</div>
            {talk.wantsKey && <KeyDialog key={talk.wantsKey} talk={talk} />}
        </>
    );
}

render(<App talk={new Talk()} />, document.getElementById('app'));
