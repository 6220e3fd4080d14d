'use strict';
// The Debian package of the build that is tested (WEIR_BUILD), packed as fast as it goes, and a later version of it.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const BUILD = process.env.WEIR_BUILD || path.resolve(__dirname, '../../../build/release');

function makePackage(folder) {
    execFileSync('cpack', ['--config', path.join(BUILD, 'CPackConfig.cmake'), '-B', folder, '-G', 'DEB',
        '-D', 'CPACK_DEBIAN_COMPRESSION_TYPE=gzip'], { stdio: 'pipe' });
    const name = fs.readdirSync(folder).find((file) => file.endsWith('.deb'));
    return path.join(folder, name);
}

// The same files as another version. change: gets the folder of the package's files.
function makeOtherVersion(deb, version, change = () => {}) {
    const files = `${deb}.${version}.d`;
    const target = path.join(path.dirname(deb), `weir_${version}.deb`);
    execFileSync('dpkg-deb', ['--raw-extract', deb, files]);
    const control = path.join(files, 'DEBIAN/control');
    fs.writeFileSync(control, fs.readFileSync(control, 'utf8').replace(/^Version: .*$/m, `Version: ${version}`));
    change(files);
    execFileSync('dpkg-deb', ['--root-owner-group', '-Znone', '--build', files, target], { stdio: 'pipe' });
    return target;
}

module.exports = { BUILD, makePackage, makeOtherVersion };
