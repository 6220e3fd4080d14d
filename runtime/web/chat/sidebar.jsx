// The chats that this browser keeps.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

import { titleOf } from './history.js';
import { Dialog, Icon, IconButton } from './ui.jsx';

const licences = document.querySelector('meta[name=licences]').content;

function TitleField({ title, onDone }) {
    const input = useRef(null);
    const isOver = useRef(false);
    useLayoutEffect(() => input.current.select(), []);
    const done = (value) => {
        if (isOver.current) return; // the field loses the focus when it goes
        isOver.current = true;
        onDone(value);
    };
    const onKeyDown = (event) => {
        if (event.key === 'Enter') done(event.currentTarget.value);
        if (event.key === 'Escape') {
            event.stopPropagation();
            done(null);
        }
    };
    return (
        <input ref={input} aria-label="Name of the chat" defaultValue={title} maxlength={100} onKeyDown={onKeyDown}
            onBlur={(event) => done(event.currentTarget.value)} />
    );
}

function Entry({ talk, chat, onOpen, onDelete }) {
    const [isRenamed, setIsRenamed] = useState(false);
    const link = useRef(null);
    const title = titleOf(chat);
    const rename = (value) => {
        setIsRenamed(false);
        if (value !== null) talk.rename(chat.id, value);
        setTimeout(() => link.current?.focus());
    };
    if (isRenamed) return <li><TitleField title={title} onDone={rename} /></li>;
    return (
        <li>
            <a ref={link} href={`#${chat.id}`} aria-current={chat.id === talk.conversation.id ? 'page' : undefined} onClick={onOpen}>
                {title}
            </a>
            <span class="entry-actions">
                <IconButton icon="edit" label={`Rename ${title}`} onClick={() => setIsRenamed(true)} />
                <IconButton icon="export" label={`Export ${title}`} onClick={() => talk.export(chat.id)} />
                <IconButton icon="remove" label={`Delete ${title}`} onClick={() => onDelete(chat)} />
            </span>
        </li>
    );
}

function ConfirmDelete({ what, onConfirm, onClose }) {
    return (
        <Dialog title={`Delete ${what}?`} onClose={onClose}>
            <p>It is kept in this browser and nowhere else: there is no way back.</p>
            <form method="dialog" class="row">
                <button autofocus>Keep</button>
                <button class="main danger" onClick={onConfirm}>Delete</button>
            </form>
        </Dialog>
    );
}

export function Sidebar({ talk, isOpen, onClose }) {
    const [doomed, setDoomed] = useState(null); // a chat, or "all"
    const side = useRef(null);
    // The focus goes into it when it opens, and back when it closes, unless it went elsewhere.
    useEffect(() => {
        if (!isOpen) return undefined;
        side.current.querySelector('button').focus();
        return () => {
            const isInside = side.current.contains(document.activeElement) || document.activeElement === document.body;
            if (isInside) document.querySelector('.menu').focus();
        };
    }, [isOpen]);
    const start = () => {
        talk.start();
        onClose();
        document.getElementById('text').focus();
    };
    const remove = () => (doomed === 'all' ? talk.removeAll() : talk.remove(doomed.id));
    return (
        <aside id="side" ref={side} class={isOpen ? 'open' : ''} aria-label="Chats">
            <div class="side-head">
                <b class="name">Weir</b>
                <button type="button" class="main" onClick={start}><Icon name="add" /> New chat</button>
            </div>
            <nav aria-label="Kept chats">
                {talk.chats.length === 0 && <p class="fine">Chats are kept in this browser and nowhere else.</p>}
                <ul>
                    {talk.chats.map((chat) => (
                        <Entry key={chat.id} talk={talk} chat={chat} onOpen={onClose} onDelete={setDoomed} />
                    ))}
                </ul>
            </nav>
            <div class="side-foot">
                {talk.chats.length > 0 && (
                    <>
                        <button type="button" class="plain" onClick={() => talk.exportAll()}>Export all</button>
                        <button type="button" class="plain" onClick={() => setDoomed('all')}>Delete all</button>
                    </>
                )}
                {talk.hasKey() && <button type="button" class="plain" onClick={() => talk.forgetKey()}>Forget API key</button>}
                <a class="plain" href={licences} target="_blank" rel="noopener">Licences</a>
            </div>
            {doomed && (
                <ConfirmDelete what={doomed === 'all' ? 'all chats' : `“${titleOf(doomed)}”`} onConfirm={remove} onClose={() => setDoomed(null)} />
            )}
        </aside>
    );
}
