'use strict';
// Certificates for a test, made by openssl(1) when it runs.

const { execFileSync } = require('node:child_process');

// Writes a self-signed certificate for localhost and 127.0.0.1 with its key.
function makeCertificate(certFile, keyFile, name = 'localhost') {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
        '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
        '-out', certFile, '-keyout', keyFile], { stdio: 'ignore' });
}

module.exports = { makeCertificate };
