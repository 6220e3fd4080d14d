// What the views share: data that is asked for again and again, and changes that may fail.

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

// Calls `load` now, `everyMs` after the end of each such call (0: never again) and whenever reload() is called, which
// ends when that is answered; the last answer stays in place while the next is awaited. What a request brings when a newer
// one has been answered is dropped. Nothing is asked while nobody looks at the page.
export function useLoad(load, inputs, everyMs = 0) {
    const [state, setState] = useState({ value: null, error: null });
    const newest = useRef(0); // request
    const shown = useRef(0); // the newest that was answered, or that is not wanted any more
    const reload = useCallback(async () => {
        const mine = ++newest.current;
        const show = (next) => {
            if (mine <= shown.current) return;
            shown.current = mine;
            setState(next);
        };
        try {
            const value = await load();
            show({ value, error: null });
        } catch (error) {
            show((old) => ({ value: old.value, error }));
        }
    }, inputs);
    useEffect(() => {
        let timer = null;
        let isOver = false;
        const step = async () => {
            if (!document.hidden || timer === null) await reload();
            if (everyMs > 0 && !isOver) timer = setTimeout(step, everyMs);
        };
        step();
        return () => {
            isOver = true;
            clearTimeout(timer);
            shown.current = newest.current;
        };
    }, [reload, everyMs]);
    return { ...state, reload };
}

// The part of the address behind #/: ["prompts", "default"].
export function useRoute() {
    const read = () => location.hash.replace(/^#\/?/, '').split('/').filter(Boolean).map(decodeURIComponent);
    const [route, setRoute] = useState(read);
    useEffect(() => {
        const update = () => setRoute(read());
        addEventListener('hashchange', update);
        return () => removeEventListener('hashchange', update);
    }, []);
    return route;
}

export const linkTo = (...parts) => `#/${parts.map(encodeURIComponent).join('/')}`;
