// What the views share: data that is asked for again and again, and changes that may fail.

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

// Calls `load` now, every `everyMs` (0: never again) and whenever reload() is called; the last answer stays in place
// while the next is awaited. What a request brings that a newer one has overtaken is dropped. Nothing is asked while
// nobody looks at the page.
export function useLoad(load, inputs, everyMs = 0) {
    const [state, setState] = useState({ value: null, error: null });
    const newest = useRef(0);
    const reload = useCallback(async () => {
        const mine = ++newest.current;
        try {
            const value = await load();
            if (mine === newest.current) setState({ value, error: null });
        } catch (error) {
            if (mine === newest.current) setState((old) => ({ value: old.value, error }));
        }
    }, inputs);
    useEffect(() => {
        reload();
        const timer = everyMs > 0 && setInterval(() => document.hidden || reload(), everyMs);
        return () => {
            clearInterval(timer);
            newest.current++;
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
