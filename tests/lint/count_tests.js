'use strict';
// Prints "PASSED FAILED SKIPPED" of a JUnit file that ctest wrote. A test program that says itself how many
// tests it holds (node --test, cmocka) counts as that many.

const fs = require('node:fs');

const cases = fs.readFileSync(process.argv[2], 'utf8').split('<testcase ').slice(1);
const total = { pass: 0, fail: 0, skip: 0 };

// The numbers after `pattern` in what the program printed, added up, or null if it printed none.
function sum(text, pattern) {
    const found = [...text.matchAll(pattern)];
    return found.length > 0 ? found.reduce((n, match) => n + Number(match[1]), 0) : null;
}

for (const text of cases) {
    const status = /status="(\w+)"/.exec(text)?.[1];
    const output = /<system-out>([\s\S]*?)<\/system-out>/.exec(text)?.[1] ?? '';
    const pass = sum(output, /^(?:# |ℹ )pass (\d+)$/gm) ?? sum(output, /\[ {2}PASSED {2}\] (\d+) test/g);
    const fail = sum(output, /^(?:# |ℹ )fail (\d+)$/gm) ?? sum(output, /\[ {2}FAILED {2}\].*?(\d+) test/g) ?? 0;
    const skip = sum(output, /^(?:# |ℹ )skipped (\d+)$/gm) ?? sum(output, /\[ {2}SKIPPED {2}\] (\d+) test/g) ?? 0;
    if (status === 'notrun' || status === 'disabled') {
        total.skip++;
    } else {
        const broken = status !== 'run';
        total.pass += pass ?? (broken ? 0 : 1);
        total.fail += broken ? Math.max(fail, 1) : 0;
        total.skip += skip;
    }
}
console.log(total.pass, total.fail, total.skip);
