// Small parts that several views use.

import { useLayoutEffect, useRef } from 'preact/hooks';

const ICONS = {
    add: 'M12 5v14M5 12h14',
    menu: 'M4 7h16M4 12h16M4 17h16',
    send: 'M12 19V5M6 11l6-6 6 6',
    stop: 'M7 7h10v10H7z',
    copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
    done: 'M5 12l5 5L20 7',
    retry: 'M20 12a8 8 0 1 1-2.5-5.8M20 3v4h-4',
    edit: 'M4 20h4L19 9l-4-4L4 16z',
    up: 'M7 11v9H3v-9zM7 11l4-8c1.7 0 2.5 1 2.3 2.6L13 9h6a2 2 0 0 1 2 2.3l-1.2 7A2 2 0 0 1 17.8 20H7',
    down: 'M7 13V4H3v9zM7 13l4 8c1.7 0 2.5-1 2.3-2.6L13 15h6a2 2 0 0 0 2-2.3l-1.2-7A2 2 0 0 0 17.8 4H7',
    export: 'M12 4v11M7 11l5 5 5-5M5 20h14',
    remove: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13',
    newest: 'M12 5v14M6 13l6 6 6-6',
};

export function Icon({ name }) {
    return <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d={ICONS[name]} /></svg>;
}

export function IconButton({ icon, label, ...rest }) {
    return <button type="button" class="icon-button" aria-label={label} title={label} {...rest}><Icon name={icon} /></button>;
}

// A window in front of the page; the browser keeps the focus in it, gives it back, and closes it on Escape.
export function Dialog({ title, onClose, children }) {
    const dialog = useRef(null);
    useLayoutEffect(() => {
        dialog.current.showModal();
    }, []);
    return (
        <dialog ref={dialog} aria-label={title} onClose={onClose}>
            <h2>{title}</h2>
            {children}
        </dialog>
    );
}
