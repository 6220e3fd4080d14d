'use strict';
// A service that rules on texts, for the filter "webhook": it does what the test says and remembers what it was
// asked.

const http = require('node:http');
const https = require('node:https');

class Service {
    constructor(t, tls) {
        this.questions = []; // bodies, with the headers that came along
        this.gone = 0; // connections that were closed before they had their answer
        this.rule = () => ({ verdict: 'pass' });
        const listener = (request, response) => this.#take(request, response);
        this.server = tls ? https.createServer(tls, listener) : http.createServer(listener);
        t.after(() => {
            this.server.closeAllConnections();
            this.server.close();
        });
    }

    async listen() {
        await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
        this.port = this.server.address().port;
        this.url = `${this.server instanceof https.Server ? 'https' : 'http'}://127.0.0.1:${this.port}/rule?x=1`;
        return this;
    }

    // this.rule(question) is what is answered: an object as JSON, a number as a status, a string as it is; null:
    // nothing, ever. It may be a promise.
    async #take(request, response) {
        let body = '';
        for await (const bytes of request) {
            body += bytes;
        }
        const question = { ...JSON.parse(body), headers: request.headers, path: request.url };
        this.questions.push(question);
        let answered = false;
        response.on('close', () => (this.gone += answered ? 0 : 1));
        const answer = await this.rule(question, this.questions.length);
        if (answer === null || response.destroyed) {
            return;
        }
        answered = true;
        response.statusCode = typeof answer === 'number' ? answer : 200;
        response.end(typeof answer === 'object' ? JSON.stringify(answer) : String(answer));
    }

    texts() {
        return this.questions.map(({ text }) => text);
    }

    // Waits until it was asked so often.
    async asked(count, ms = 10_000) {
        await until(() => this.questions.length >= count, ms, () => `${this.questions.length} questions`);
    }
}

async function until(holds, ms = 10_000, what = () => 'nothing') {
    for (const end = Date.now() + ms; !holds();) {
        if (Date.now() > end) {
            throw new Error(`within ${ms} ms there was only: ${what()}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
}

const startService = (t, tls) => new Service(t, tls).listen();

module.exports = { startService, until };
