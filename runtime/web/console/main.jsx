// The owner's console: sign in, then one view for each part of the address behind #/.

import { render } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

import { call, session } from './api.js';
import { Audit } from './audit.jsx';
import { Charts } from './charts.jsx';
import './console.css';
import { Filters } from './filters.jsx';
import { linkTo, useLoad, useRoute } from './hooks.js';
import { Models } from './models.jsx';
import { Prompts } from './prompts.jsx';
import { ActionHost, Badge, ErrorBox, Field } from './ui.jsx';

const POLL_MS = 5000;

const VIEWS = {
    models: { title: 'Models', View: Models },
    prompts: { title: 'Prompts', View: Prompts },
    filters: { title: 'Filters', View: Filters },
    live: { title: 'Live', View: Charts },
    audit: { title: 'Audit', View: Audit },
};

const whoServes = async () => (await call('GET', '/admin/upgrade')).value;

function SignIn({ onDone, error: before }) {
    const [values, setValues] = useState({ key: '', actor: session.actor() });
    const [error, setError] = useState(before);
    const set = (name) => (event) => setValues({ ...values, [name]: event.currentTarget.value });
    const submit = async (event) => {
        event.preventDefault();
        setError(null);
        session.begin(values.key.trim(), values.actor.trim());
        try {
            await whoServes();
            onDone();
        } catch (failure) {
            session.end();
            setError(failure);
        }
    };
    return (
        <main class="sign-in" id="main">
            <h1>Weir console</h1>
            <form onSubmit={submit} class="card">
                <Field label="Admin key" hint="It stays in this tab, until you sign out or close it.">
                    <input type="password" autocomplete="off" required autofocus value={values.key} onInput={set('key')} />
                </Field>
                <Field label="Your name" hint="For the audit log; it may be left out.">
                    <input autocomplete="name" maxlength="60" value={values.actor} onInput={set('actor')} />
                </Field>
                <ErrorBox error={error} />
                <button class="main">Sign in</button>
            </form>
        </main>
    );
}

// Its own errors are shown by the views too, all but that the key is not good any more.
function Console({ onSignOut }) {
    const [view = 'models', ...rest] = useRoute();
    const { title, View } = VIEWS[view] ?? VIEWS.models;
    const main = useRef(null);
    const isFirst = useRef(true);
    const { value: server, error } = useLoad(whoServes, [], POLL_MS);
    useEffect(() => {
        if (error?.status === 401) onSignOut(error);
    }, [error]);
    // Who reads by ear hears that the view is another one, and keys go to what is seen.
    useLayoutEffect(() => {
        document.title = `${title} · Weir console`;
        if (!isFirst.current) main.current.focus();
        isFirst.current = false;
    }, [view]);
    return (
        <>
            <header>
                <a
                    class="skip"
                    href="#main"
                    onClick={(event) => {
                        event.preventDefault();
                        main.current.focus();
                    }}
                >
                    To the content
                </a>
                <b class="name">Weir console</b>
                <nav aria-label="Views">
                    {Object.entries(VIEWS).map(([key, each]) => (
                        <a key={key} href={linkTo(key)} aria-current={key === view ? 'page' : undefined}>
                            {each.title}
                        </a>
                    ))}
                </nav>
                <span class="server">
                    {server && (
                        <>
                            Weir {server.version} <Badge word={server.state} />
                        </>
                    )}
                    {error && <Badge word="not reached" />}
                </span>
                <button type="button" onClick={() => onSignOut(null)}>
                    Sign out
                </button>
            </header>
            <main id="main" ref={main} tabIndex={-1}>
                <ActionHost view={view}>
                    <View route={rest} />
                </ActionHost>
            </main>
        </>
    );
}

function App() {
    const [isIn, setIsIn] = useState(session.key() !== null);
    const [error, setError] = useState(null);
    const signOut = (why) => {
        session.end();
        setError(why);
        setIsIn(false);
    };
    return isIn ? <Console onSignOut={signOut} /> : <SignIn error={error} onDone={() => setIsIn(true)} />;
}

render(<App />, document.getElementById('console'));
