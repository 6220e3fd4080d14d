'use strict';
// A program on a pseudo-terminal, by script(1): what is typed goes through the terminal's line discipline, so that \x03
// is SIGINT and \x04 the end of input.

const { spawn } = require('node:child_process');

const { waitFor } = require('./model_repo.js');

const CTRL = (letter) => String.fromCharCode(letter.toUpperCase().charCodeAt(0) - 64);

class Terminal {
    // Ends with the test at the latest. Arguments may have no quotes in them.
    constructor(t, program, args, env = {}) {
        const command = [program, ...args].map((arg) => `'${arg}'`).join(' ');
        this.child = spawn('script', ['-qfec', `stty cols 200; exec ${command}`, '/dev/null'], {
            stdio: ['pipe', 'pipe', 'inherit'],
            env: { ...process.env, TERM: 'xterm', LC_ALL: 'C.UTF-8', ...env },
        });
        this.output = '';
        this.child.stdout.setEncoding('utf8').on('data', (text) => (this.output += text));
        this.exited = new Promise((resolve) => this.child.on('close', (code) => resolve(code)));
        t.after(() => this.child.kill());
    }

    type(text) {
        this.child.stdin.write(text);
    }

    // Waits until it is in the output, and returns and forgets what came up to its end.
    async see(pattern) {
        let match;
        await waitFor(() => (match = pattern.exec(this.output)) !== null).catch((error) => {
            throw new Error(`${error.message}: ${pattern} in ${JSON.stringify(this.output)}`);
        });
        const end = match.index + match[0].length;
        const seen = this.output.slice(0, end);
        this.output = this.output.slice(end);
        return seen;
    }

    // Types a line at the prompt.
    async say(text) {
        await this.see(/> $/);
        this.type(`${text}\r`);
    }
}

module.exports = { Terminal, CTRL };
