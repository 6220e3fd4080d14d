// Pieces of the page that all views are made of.

import { cloneElement, createContext } from 'preact';
import { useContext, useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';

export const formatTime = (seconds) => new Date(seconds * 1000).toLocaleString();

export function formatBytes(n) {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let unit = 0;
    for (; n >= 1024 && unit < units.length - 1; unit++) n /= 1024;
    return `${unit > 0 && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

export const count = (n, noun) => `${n} ${noun}${n === 1 ? '' : 's'}`;

const errorText = (error) =>
    [
        error.message,
        error.code && `code ${error.code}`,
        error.param && `param ${error.param}`,
        error.status && `HTTP ${error.status}`,
        error.request && `request ${error.request}`,
    ].filter(Boolean);

// An error as the server worded it, with what is needed to find it in the log.
export function ErrorBox({ error, onClose }) {
    if (!error) return null;
    const [message, ...details] = errorText(error);
    return (
        <div class="error" role="alert">
            <p>{message}</p>
            {details.length > 0 && <p class="fine">{details.join(' · ')}</p>}
            {onClose && (
                <button type="button" onClick={onClose} aria-label="Close the error">
                    ×
                </button>
            )}
        </div>
    );
}

// State is said by its word; the colour only repeats it.
export const Badge = ({ word }) => <span class={`badge ${word}`}>{word.replace('_', ' ')}</span>;

// A control with its label; the hint is read after the name, not as a part of it.
export function Field({ label, hint, children }) {
    const id = useId();
    return (
        <div class="field">
            <label for={id}>{label}</label>
            {cloneElement(children, { id, ...(hint && { 'aria-describedby': `${id}-hint` }) })}
            {hint && <small id={`${id}-hint`}>{hint}</small>}
        </div>
    );
}

// Wide tables scroll by themselves, also with the keyboard.
export function Table({ caption, head, children }) {
    return (
        <div class="scroll" tabIndex={0} role="region" aria-label={caption}>
            <table>
                <caption>{caption}</caption>
                <thead>
                    <tr>
                        {head.map((title) => (
                            <th scope="col" key={title}>
                                {title}
                            </th>
                        ))}
                    </tr>
                </thead>
                <tbody>{children}</tbody>
            </table>
        </div>
    );
}

// As diff -u writes it. The signs stay, so that colour is not all there is.
export function Diff({ text }) {
    if (!text) return <p class="fine">There is no difference.</p>;
    const kind = (line) =>
        line.startsWith('@@') || line.startsWith('---') || line.startsWith('+++')
            ? 'where'
            : line.startsWith('+')
              ? 'added'
              : line.startsWith('-')
                ? 'removed'
                : '';
    return (
        <pre class="diff" tabIndex={0} aria-label="Difference">
            {text
                .replace(/\n$/, '')
                .split('\n')
                .map((line, i) => (
                    <span key={i} class={kind(line)}>{`${line}\n`}</span>
                ))}
        </pre>
    );
}

// --- dialogs and what is under way ---

const Actions = createContext(null);
export const useActions = () => useContext(Actions);

// Asks before `request.run` is done. The browser keeps the focus inside, and gives it back when the dialog closes.
// work(values): does it, or throws. onEnd(values): the dialog is closed; values of what is still to be done, or null.
function Dialog({ request, work, onEnd }) {
    const dialog = useRef(null);
    const answer = useRef(null);
    const [values, setValues] = useState(request.values ?? {});
    const [isRunning, setIsRunning] = useState(false);
    const [error, setError] = useState(null);
    const { fail } = useActions();
    useLayoutEffect(() => dialog.current.showModal(), []);
    const set = (name) => (event) => setValues({ ...values, [name]: event.currentTarget.value });
    const workInside = async () => {
        setIsRunning(true);
        setError(null);
        try {
            await work(values);
            dialog.current?.close();
        } catch (failure) {
            if (dialog.current) setError(failure);
            else fail(failure);
        }
        setIsRunning(false);
    };
    const submit = (event) => {
        event.preventDefault();
        if (request.staysOpen) {
            workInside();
            return;
        }
        answer.current = values;
        dialog.current.close();
    };
    return (
        <dialog ref={dialog} aria-labelledby="dialog-title" onClose={() => onEnd(answer.current)}>
            <form onSubmit={submit}>
                <h2 id="dialog-title">{request.title}</h2>
                {request.text && <p>{request.text}</p>}
                {request.fields?.(values, set)}
                {request.details}
                <ErrorBox error={error} />
                <div class="row end">
                    <button type="button" onClick={() => dialog.current.close()}>
                        Cancel
                    </button>
                    <button class="main" disabled={isRunning}>
                        {request.button}
                    </button>
                </div>
            </form>
        </dialog>
    );
}

// Gives the views below it
//   ask({title, text, details, values, fields, button, run, staysOpen})   a dialog first, then run(values); staysOpen: it
//                                                                         closes when that has gone well, and keeps what
//                                                                         was written until then
//   run(what, work)                                                       without one
// Both show that the work is under way, that it is done, or the server's error. What is under way and an error stay when
// another view is chosen.
export function ActionHost({ view, children }) {
    const [request, setRequest] = useState(null);
    const [status, setStatus] = useState('');
    const [error, setError] = useState(null);
    useEffect(() => setStatus((old) => (old.endsWith('…') ? old : '')), [view]);
    const tell = async (what, work) => {
        setError(null);
        setStatus(`${what} …`);
        try {
            const result = await work();
            setStatus(`${what}: done.`);
            return result;
        } catch (failure) {
            setStatus('');
            throw failure;
        }
    };
    const run = (what, work) => tell(what, work).catch(setError);
    const work = (values) => tell(request.title.replace(/\?$/, ''), () => request.run(values));
    const end = (values) => {
        setRequest(null);
        if (values) work(values).catch(setError);
    };
    return (
        <Actions.Provider value={{ ask: setRequest, run, fail: setError }}>
            <p class="status" role="status">
                {status}
            </p>
            <ErrorBox error={error} onClose={() => setError(null)} />
            {children}
            {request && <Dialog key={request.title} request={request} work={work} onEnd={end} />}
        </Actions.Provider>
    );
}
