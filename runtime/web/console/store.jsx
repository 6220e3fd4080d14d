// The end of an editor: its draft becomes a new version of a prompt or of a filter chain.

import { call } from './api.js';
import { useActions } from './ui.jsx';

// base, noun, object: as in versions.jsx. etag: of the state that the draft was begun on; onEtag(etag): it counts as
// begun on that one. bodyOf(): the draft as the server reads it, or an Error. onStored(): the draft is a version now.
// reload(): asks for `object` anew. children: more buttons.
export function StoreDraft({ base, noun, object, etag, bodyOf, onEtag, onStored, reload, children }) {
    const { ask, fail } = useActions();
    const { name } = object.value;
    const put = async (body, activate) => {
        try {
            return await call('PUT', base + (activate ? '' : '?activate=false'), { body, ifMatch: etag, ifNew: !etag });
        } finally {
            await reload(); // before onEtag: one's own change is not somebody else's
        }
    };
    const store = (activate) => () => {
        let body;
        try {
            body = bodyOf();
        } catch (error) {
            fail(error);
            return;
        }
        ask({
            title: activate ? `Store and activate a new version of ${name}?` : `Store a new version of ${name}?`,
            text: activate
                ? `The next request that gets the ${noun} ${name} gets this version. Those that run keep theirs.`
                : 'It is stored, and no request gets it before it is activated.',
            button: activate ? 'Store and activate' : 'Store',
            run: async () => {
                const stored = await put(body, activate);
                onEtag(stored.etag);
                onStored?.();
            },
        });
    };
    return (
        <>
            {object.etag !== etag && (
                <p class="problem">
                    Somebody has changed it since you began; what you store now would be refused.{' '}
                    <button type="button" onClick={() => onEtag(object.etag)}>
                        Store on top of that
                    </button>
                </p>
            )}
            <div class="row">
                {children}
                <button type="button" onClick={store(false)}>
                    Store
                </button>
                <button type="button" class="main" onClick={store(true)}>
                    Store and activate
                </button>
            </div>
        </>
    );
}
