'use strict';
// Texts of a wanted number of tokens for a tokenizer that is only known by what the server counts. Models for
// measuring have made-up vocabularies (`weir synth`: every byte is a token), so nothing is assumed.

const { fail, between } = require('./tools.js');
const { outcome } = require('./client.js');

const WORDS = ('a about after air and any are as at back be because been but by can come could day did do down each ' +
    'even find first for from get give go good great had has have he help her here him his how if in into is it just ' +
    'know land large like line little long look made make man many may me more most mother my name new no not now ' +
    'number of off old on one only or other our out over own part people place read right said same say see sentence ' +
    'she should show so some sound still such take tell than that the their them then there these they thing think ' +
    'this three time to too two under up us very water way we well went were what when where which who why will with ' +
    'word work world would write year you your').split(' ');

// Words until there are that many characters.
function words(random, length) {
    let text = '';
    while (text.length < length) {
        text += `${text ? ' ' : ''}${WORDS[between(random, 0, WORDS.length - 1)]}`;
    }
    return text.slice(0, Math.max(1, Math.round(length)));
}

// Letters that set texts apart from their first token on.
function salt(random) {
    return Array.from({ length: 6 }, () => String.fromCharCode(97 + between(random, 0, 25))).join('');
}

const conversation = (system, question) => [{ role: 'system', content: system }, { role: 'user', content: question }];

async function countTokens(client, model, messages) {
    const answer = await client.chat({ ...model, messages, max_tokens: 1, temperature: 0 });
    if (answer.status !== 200 || !answer.usage) {
        fail(`a first request to count tokens: ${outcome(answer)} ${answer.error?.message ?? ''}`);
    }
    return answer.usage.prompt_tokens;
}

const SHORT = 20, LONG = 600; // characters

// Learns from two requests how many tokens a character has and how many the chat template adds. `model` is
// {model: name}, or {} for the server's own.
async function calibrate(client, model, random) {
    const ask = (length) =>
        countTokens(client, model, conversation(`${salt(random)} ${words(random, length)}`, salt(random)));
    const short = await ask(SHORT);
    const long = await ask(LONG);
    if (long <= short) {
        fail(`the server counts ${short} tokens in a short prompt and ${long} in a long one`);
    }
    const tokensPerCharacter = (long - short) / (LONG - SHORT);
    return {
        tokensPerCharacter,
        templateTokens: Math.max(0, Math.round(short - tokensPerCharacter * (SHORT + 13))),
        // A text of about that many tokens that begins unlike every other.
        text: (from, tokens) => `${salt(from)} ${words(from, tokens / tokensPerCharacter - 7)}`,
    };
}

module.exports = { calibrate, conversation };
