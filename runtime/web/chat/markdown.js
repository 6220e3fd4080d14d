// Markdown to nodes of the page. What the model writes is not to be trusted: HTML in it is shown as text, images are
// links, and what comes out of the parser passes DOMPurify before it becomes part of the page.

import createDOMPurify from 'dompurify';
import hljs from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import c from 'highlight.js/lib/languages/c';
import cpp from 'highlight.js/lib/languages/cpp';
import css from 'highlight.js/lib/languages/css';
import diff from 'highlight.js/lib/languages/diff';
import go from 'highlight.js/lib/languages/go';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import python from 'highlight.js/lib/languages/python';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';
import { Marked } from 'marked';

const LANGUAGES = { bash, c, cpp, css, diff, go, java, javascript, json, python, rust, sql, typescript, xml, yaml };
for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);

// More than this is shown without colours, which would take too long.
const HIGHLIGHT_MAX = 20_000;

// Around what filters have changed: two characters that mean nothing (private use), so that the marks come through the
// parser wherever they stand. The model's own are taken out first.
const OPEN = '\uE0F0';
const CLOSE = '\uE0F1';
const MARK = /[\uE0F0\uE0F1]/;
const MARKS = /[\uE0F0\uE0F1]/g;

const purify = createDOMPurify(window);
purify.addHook('afterSanitizeAttributes', (node) => {
    if (node.tagName === 'A') {
        node.setAttribute('target', '_blank');
        node.setAttribute('rel', 'noopener noreferrer');
    }
});
const ALLOWED = {
    ALLOWED_TAGS: ['a', 'blockquote', 'br', 'code', 'del', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'input', 'li', 'ol',
        'p', 'pre', 'span', 'strong', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul'],
    ALLOWED_ATTR: ['align', 'checked', 'class', 'disabled', 'href', 'start', 'title', 'type'],
    ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
    RETURN_DOM_FRAGMENT: true,
};

function escapeHtml(text) {
    const names = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
    return text.replace(/[&<>"]/g, (character) => names[character]);
}

function highlighted(code, language) {
    const known = hljs.getLanguage(language) && code.length <= HIGHLIGHT_MAX && !MARK.test(code);
    return known ? hljs.highlight(code, { language, ignoreIllegals: true }).value : escapeHtml(code);
}

const marked = new Marked({
    gfm: true,
    breaks: true,
    renderer: {
        html: ({ text }) => escapeHtml(text),
        image({ href, text }) {
            return `<a href="${escapeHtml(href)}">${escapeHtml(text || href)}</a>`;
        },
        code({ text, lang = '' }) {
            const language = lang.match(/^[\w+#-]*/)[0].toLowerCase();
            return `<pre><code class="language-${language}">${highlighted(text, language)}</code></pre>`;
        },
    },
});

// The head of a block of code: its language, and a button that copies it (see copyCode).
function addCodeHead(pre) {
    const head = document.createElement('div');
    head.className = 'code-head';
    const language = document.createElement('span');
    language.textContent = pre.firstElementChild?.className.replace('language-', '') || 'text';
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'copy-code';
    button.textContent = 'Copy code';
    head.append(language, button);
    const box = document.createElement('div');
    box.className = 'code';
    pre.tabIndex = 0; // it may scroll
    pre.replaceWith(box);
    box.append(head, pre);
}

// Text between the marks into <mark>.
function markFiltered(root, state) {
    for (const link of root.querySelectorAll('a')) {
        for (const name of ['href', 'title']) {
            const value = link.getAttribute(name);
            if (value) link.setAttribute(name, value.replace(/[\uE0F0\uE0F1]|%EE%83%B[01]/gi, ''));
        }
    }
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const nodes = [];
    while (walker.nextNode()) nodes.push(walker.currentNode);
    for (const node of nodes) {
        const pieces = node.data.split(/([\uE0F0\uE0F1])/);
        if (pieces.length === 1 && !state.isOpen) continue;
        const made = [];
        for (const piece of pieces) {
            if (piece === OPEN || piece === CLOSE) {
                state.isOpen = piece === OPEN;
                if (state.isOpen) state.number++;
            } else if (state.isOpen && piece.trim()) {
                const mark = document.createElement('mark');
                mark.className = 'filtered';
                mark.title = state.titles[state.number - 1] ?? '';
                mark.textContent = piece;
                made.push(mark);
            } else if (piece) {
                made.push(document.createTextNode(piece));
            }
        }
        node.replaceWith(...made);
    }
}

// What is said of a span when the pointer rests on it.
export function spanTitle({ verdict, name, code }) {
    const what = code && code !== name ? `${name}: ${code}` : name;
    return verdict === 'stop' ? `A filter ended the answer here (${what})` : `Put here by a filter (${what})`;
}

// The text with marks around its spans; `spans` count bytes of UTF-8 and are in order. Those that are empty, where a filter
// took something away, get a sign to be seen.
export function withMarks(text, spans) {
    const clean = text.replace(MARKS, '\uFFFD');
    if (spans.length === 0) return clean;
    const bytes = new TextEncoder().encode(clean);
    const decoder = new TextDecoder();
    let out = '';
    let at = 0;
    for (const span of spans) {
        if (span.at < at || span.at > bytes.length) continue;
        // Behind a stop is what the owner says of it.
        let end = span.verdict === 'stop' ? bytes.length : Math.min(span.at + span.bytes, bytes.length);
        // Of a mask only the first character is told.
        const put = bytes.subarray(span.at, end);
        if ([...decoder.decode(put)].length === 1) {
            while (put.every((byte, i) => bytes[end + i] === byte)) end += put.length;
        }
        out += `${decoder.decode(bytes.subarray(at, span.at))}${OPEN}${decoder.decode(bytes.subarray(span.at, end)) || '⋯'}${CLOSE}`;
        at = end;
    }
    return out + decoder.decode(bytes.subarray(at));
}

// Shows Markdown in `root`. Blocks that are as they were keep their nodes, so that a text that grows at its end costs little,
// and what the reader has selected stays so.
export function show(root, text, spans = []) {
    const shown = root.shownBlocks ?? [];
    const state = { isOpen: false, number: 0, titles: spans.map(spanTitle) };
    const tokens = marked.lexer(withMarks(text, spans)).filter((token) => token.type !== 'space' && token.type !== 'def');
    tokens.forEach((token, i) => {
        const old = shown[i];
        if (old?.raw === token.raw && spans.length === 0) return;
        const block = document.createElement('div');
        block.className = 'block';
        block.append(purify.sanitize(marked.parser([token]), ALLOWED));
        markFiltered(block, state);
        block.querySelectorAll('pre').forEach(addCodeHead);
        if (old) old.block.replaceWith(block);
        else root.append(block);
        shown[i] = { raw: token.raw, block };
    });
    shown.splice(tokens.length).forEach(({ block }) => block.remove());
    root.shownBlocks = shown;
}
