# SPDX-License-Identifier: MIT
# V8 keeps its objects in memory of its own; buffers, hashes, compression and
# the compiler's zones come from malloc, in several threads.

needs node
least_mallocs=500000

run()
{
    cat >"$folder/work.js" <<'END'
const crypto = require('crypto'), zlib = require('zlib');
let digest = '';
for (let i = 0; i < 60000; i++)
    digest = crypto.createHash('sha256').update(digest + i).digest('hex');
console.log(digest);
let length = 0;
for (let i = 0; i < 300; i++) {
    const packed = zlib.deflateSync(Buffer.from(('line ' + i + '\n').repeat(400 + i)));
    length += zlib.inflateSync(packed).length;
}
console.log(length);
const records = [];
for (let i = 0; i < 50000; i++) records.push({id: i, name: 'name ' + i, tags: [i, i * 2]});
const text = JSON.stringify(records);
console.log(text.length, JSON.parse(text).length);
console.log(text.match(/"name \d*7"/g).length);
const jobs = [];
for (let i = 0; i < 40; i++)
    jobs.push(new Promise(done => crypto.pbkdf2('a' + i, 'salt', 50, 32, 'sha256',
        (_, key) => done(key.toString('hex')))));
Promise.all(jobs).then(keys => console.log(keys.join('').length, keys[39]));
END
    under node "$folder/work.js"
}
