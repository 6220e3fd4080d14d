// One message: what was said, what made it, and what can be done with it.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

import { copyText } from './copy.js';
import { show } from './markdown.js';
import { Icon, IconButton } from './ui.jsx';

const DONE_MS = 2000;

function Markdown({ text, spans }) {
    const root = useRef(null);
    // Before the next picture, so that no answer is there without its text.
    useLayoutEffect(() => show(root.current, text, spans), [text, spans]);
    const copyCode = async (event) => {
        const button = event.target.closest('.copy-code');
        if (!button) return;
        await copyText(button.closest('.code').querySelector('code').textContent);
        button.textContent = 'Copied';
        setTimeout(() => (button.textContent = 'Copy code'), DONE_MS);
    };
    return <div class="markdown" ref={root} onClick={copyCode} />;
}

function CopyButton({ text }) {
    const [isDone, setIsDone] = useState(false);
    useEffect(() => {
        const timer = isDone && setTimeout(() => setIsDone(false), DONE_MS);
        return () => clearTimeout(timer);
    }, [isDone]);
    const copy = () => copyText(text).then(() => setIsDone(true), () => {});
    return <IconButton icon={isDone ? 'done' : 'copy'} label={isDone ? 'Copied' : 'Copy'} onClick={copy} />;
}

function Editor({ text, isBusy, onSave, onCancel }) {
    const area = useRef(null);
    const [value, setValue] = useState(text);
    useLayoutEffect(() => {
        area.current.focus();
        area.current.setSelectionRange(text.length, text.length);
    }, []);
    const onKeyDown = (event) => {
        if (event.key === 'Escape') {
            event.stopPropagation();
            onCancel();
        }
        if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            onSave(value);
        }
    };
    return (
        <form class="editor" onSubmit={(event) => { event.preventDefault(); onSave(value); }}>
            <textarea ref={area} aria-label="Edit message" rows={3} value={value} onKeyDown={onKeyDown}
                onInput={(event) => setValue(event.currentTarget.value)} />
            <p class="fine">All that follows this message is replaced when there is an answer.</p>
            <div class="row">
                <button type="button" onClick={onCancel}>Cancel</button>
                <button class="main" disabled={isBusy || !value.trim()}>Send again</button>
            </div>
        </form>
    );
}

export function UserMessage({ talk, message, index }) {
    const [isEdited, setIsEdited] = useState(false);
    const leave = () => {
        setIsEdited(false);
        document.getElementById('text')?.focus();
    };
    const save = (text) => talk.edit(index, text) && leave();
    return (
        <article class="turn user" aria-label="You">
            {isEdited
                ? <Editor text={message.content} isBusy={talk.running !== null} onSave={save} onCancel={leave} />
                : <div class={message.refused ? 'bubble refused' : 'bubble'}>{message.content}</div>}
            {message.refused && <p class="note stopped" role="alert">A filter did not let this through: {message.refused}</p>}
            {!isEdited && (
                <div class="actions">
                    <IconButton icon="edit" label="Edit" disabled={talk.running !== null} onClick={() => setIsEdited(true)} />
                    <CopyButton text={message.content} />
                </div>
            )}
        </article>
    );
}

function MadeBy({ madeBy }) {
    if (!madeBy?.model) return null;
    const { model, prompt, filters } = madeBy;
    return (
        <p class="made-by">
            <span title="The model and its version">{model}</span>
            {prompt && <span title="The system prompt and its version">prompt {prompt}</span>}
            {filters && !filters.endsWith('@0') && <span title="The filters and their version">filters {filters}</span>}
        </p>
    );
}

function Notes({ message }) {
    const { finish, ended, found = { input: [], output: [] }, spans = [] } = message;
    const changed = spans.filter(({ verdict }) => verdict === 'replace').length;
    const by = found.output.length > 0 ? ` (${found.output.join(', ')})` : '';
    return (
        <>
            {finish === 'content_filter' && <p class="note stopped">A filter ended this answer{by}.</p>}
            {finish !== 'content_filter' && changed > 0 && <p class="note">A filter changed what is marked{by}.</p>}
            {found.input.length > 0 && <p class="note">Filters found something in what was sent ({found.input.join(', ')}).</p>}
            {finish === 'length' && <p class="note">The answer ends here because it is as long as it may be.</p>}
            {ended === 'stopped' && <p class="note">You stopped this answer.</p>}
            {ended === 'broken' && <p class="note stopped">This answer is not complete.</p>}
        </>
    );
}

function Thumb({ talk, message, thumb, label }) {
    return (
        <IconButton icon={thumb} label={label} aria-pressed={message.thumb === thumb}
            onClick={() => message.thumb === thumb || talk.thumb(message, thumb)} />
    );
}

// isLive: it is still being written.
export function Answer({ talk, message, isLast, isLive }) {
    return (
        <article class="turn assistant" aria-label="Weir" aria-busy={isLive}>
            {message?.reasoning && (
                <details class="reasoning">
                    <summary>Reasoning</summary>
                    <p>{message.reasoning}</p>
                </details>
            )}
            {message && <Markdown text={message.content} spans={message.spans} />}
            {isLive && <p class="writing" aria-hidden="true"><i /><i /><i /></p>}
            {!isLive && <Notes message={message} />}
            {!isLive && (
                <div class="foot">
                    <MadeBy madeBy={message.madeBy} />
                    <div class="actions">
                        <CopyButton text={message.content} />
                        {talk.takesFeedback && message.id && !message.ended && (
                            <>
                                <Thumb talk={talk} message={message} thumb="up" label="Good answer" />
                                <Thumb talk={talk} message={message} thumb="down" label="Bad answer" />
                            </>
                        )}
                        {isLast && <IconButton icon="retry" label="Try again" onClick={() => talk.retry()} />}
                    </div>
                </div>
            )}
        </article>
    );
}

// Why the last message has no whole answer, and the way on.
export function Failure({ talk }) {
    const { failure, failedAt } = talk;
    const waitUntil = failedAt + (failure?.retryAfter ?? 0) * 1000;
    const [now, setNow] = useState(Date.now());
    useEffect(() => {
        const timer = setInterval(() => setNow(Date.now()), 500);
        return () => clearInterval(timer);
    }, [waitUntil]);
    const left = Math.max(0, Math.ceil((waitUntil - now) / 1000));
    return (
        <div class="failure">
            <p role="alert">{failure ? failure.message : 'This message has no answer yet.'}</p>
            {failure?.request && <p class="fine">Request {failure.request}</p>}
            <button type="button" disabled={left > 0} onClick={() => talk.retry()}>
                <Icon name="retry" /> Try again{left > 0 && ` in ${left} s`}
            </button>
        </div>
    );
}

// An edit without an answer can be taken back.
export function UndoEdit({ talk }) {
    const undo = () => {
        talk.undoEdit();
        document.getElementById('text')?.focus();
    };
    return (
        <p class="note">
            What the edit replaces is kept until there is an answer. <button type="button" class="plain" onClick={undo}>Undo the edit</button>
        </p>
    );
}
