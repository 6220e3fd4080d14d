'use strict';
// Reads a fetch response's body as server-sent events (WHATWG HTML): yields {event, data}.

async function* readEvents(response) {
    const decoder = new TextDecoder();
    let text = '';
    let event = 'message';
    let data = [];
    for await (const bytes of response.body) {
        text += decoder.decode(bytes, { stream: true });
        const lines = text.split('\n');
        text = lines.pop();
        for (const line of lines) {
            if (line === '') {
                if (data.length > 0) {
                    yield { event, data: data.join('\n') };
                }
                event = 'message';
                data = [];
            } else if (line.startsWith('data:')) {
                data.push(line.slice(5).replace(/^ /, ''));
            } else if (line.startsWith('event:')) {
                event = line.slice(6).trim();
            }
        }
    }
}

module.exports = { readEvents };
