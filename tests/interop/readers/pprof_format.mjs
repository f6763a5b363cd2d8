// Reads a pprof file with npm's pprof-format and prints what it understood as JSON.
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { Profile } from 'pprof-format'

const file = readFileSync(process.argv[2])
const p = Profile.decode(file[0] === 0x1f ? gunzipSync(file) : file)
const text = index => p.stringTable.strings[Number(index)]
const functions = new Map(p.function.map(f => [Number(f.id), f]))
const locations = new Map(p.location.map(l => [Number(l.id), l]))
const out = { types: p.sampleType.map(t => `${text(t.type)}/${text(t.unit)}`), totals: [0, 0], self: {}, labels: [] }
for (const sample of p.sample) {
    const values = sample.value.map(Number)
    values.forEach((v, i) => { out.totals[i] += v })
    const leaf = locations.get(Number(sample.locationId[0]))
    const name = text(functions.get(Number(leaf.line[0].functionId)).name)
    out.self[name] = (out.self[name] ?? 0) + values[values.length - 1]
    for (const label of sample.label) out.labels.push(`${text(label.key)}=${Number(label.str) ? text(label.str) : Number(label.num)}`)
}
console.log(JSON.stringify(out))
