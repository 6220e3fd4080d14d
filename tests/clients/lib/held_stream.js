'use strict';
// A proxy in front of the server that stops a stream in the middle, so that a test can act there however fast the model
// is: it passes the first events on and keeps the rest.
//
//   const held = await holdStream(t, server, 20);   requests to held.url are the server's
//   await held.left;        the client has closed its connection; the server's is closed too then
//   held.goOn();            the rest follows
//   held.breakOff();        the connection breaks, as when the server is gone

const http = require('node:http');

// `text` up to the end of its first `n` events, and what is behind them.
function splitEvents(text, n) {
    let end = 0;
    for (let at = text.indexOf('\n\n'); at >= 0 && n > 0; at = text.indexOf('\n\n', end), n--) end = at + 2;
    return [text.slice(0, end), text.slice(end), n];
}

async function holdStream(t, server, events) {
    const held = {};
    let closed;
    held.left = new Promise((resolve) => (closed = resolve));
    const proxy = http.createServer((request, response) => {
        const { method, url, headers } = request;
        const onward = http.request(server.url + url, { method, headers, agent: false }, (answer) => {
            let kept = '';
            let wanted = events;
            let hasEnded = false;
            const pass = () => {
                const [now, rest, more] = splitEvents(kept, wanted);
                [kept, wanted] = [rest, more];
                response.write(now);
                if (hasEnded && wanted > 0) response.end(kept);
            };
            response.writeHead(answer.statusCode, answer.headers);
            answer.setEncoding('utf8').on('data', (text) => {
                kept += text;
                pass();
            }).on('end', () => {
                hasEnded = true;
                pass();
            }).on('error', () => {}); // the server is gone: that is the test's to tell
            held.goOn = () => {
                wanted = Infinity;
                pass();
            };
            held.breakOff = () => response.destroy();
        });
        onward.on('error', () => response.destroy());
        response.on('close', () => {
            onward.destroy();
            closed();
        });
        request.pipe(onward);
    });
    await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    t.after(() => {
        proxy.closeAllConnections();
        proxy.close();
    });
    held.url = `http://127.0.0.1:${proxy.address().port}`;
    return held;
}

module.exports = { holdStream };
