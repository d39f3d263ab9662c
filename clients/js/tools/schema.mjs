// Makes src/server/schema.ts, the types of what the management API takes and answers, from the OpenAPI document.
import { readFileSync, writeFileSync } from 'node:fs';

const here = new URL('.', import.meta.url);
const document = JSON.parse(readFileSync(new URL('../../../shared/openapi/openapi.json', here), 'utf8'));

/** Returns the name that a reference refers to. */
const nameOf = (ref) => ref.split('/').at(-1);

/** Returns the type of a schema. What it refers to is put on the list. */
function typeOf(schema, list, indent = '') {
  if (schema.$ref) {
    list.add(nameOf(schema.$ref));
    return nameOf(schema.$ref);
  }
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.oneOf) return [...new Set(schema.oneOf.map((one) => typeOf({ ...one }, list, indent)))].join(' | ');
  const own = schema.properties || schema.type === 'object' ? [objectOf(schema, list, indent)] : [];
  if (schema.allOf) return [...schema.allOf.map((one) => typeOf(one, list, indent)), ...(schema.properties ? own : [])].join(' & ');
  const types = [schema.type].flat().map((type) => {
    if (type === 'array') return `Array<${typeOf(schema.items, list, indent)}>`;
    if (type === 'object') return own[0];
    return { string: 'string', integer: 'number', number: 'number', boolean: 'boolean', null: 'null' }[type] ?? 'unknown';
  });
  return types.join(' | ');
}

function objectOf(schema, list, indent) {
  const entries = Object.entries(schema.properties ?? {});
  if (entries.length === 0) return 'Record<string, unknown>';
  const inner = indent + '  ';
  const members = entries.map(([name, member]) => {
    const about = member.description ? `${inner}/** ${member.description.replaceAll('\n', ' ').replaceAll('*/', '* /')} */\n` : '';
    return `${about}${inner}${name}${schema.required?.includes(name) ? '' : '?'}: ${typeOf(member, list, inner)};\n`;
  });
  return `{\n${members.join('')}${indent}}`;
}

// What the calls take and answer, and what that refers to.
const wanted = new Set();
const calls = [];
for (const [path, methods] of Object.entries(document.paths)) {
  if (!path.startsWith('/v1/')) continue;
  for (const [method, operation] of Object.entries(methods)) {
    if (!operation.operationId) continue;
    const name = operation.operationId[0].toUpperCase() + operation.operationId.slice(1);
    const sent = operation.requestBody?.$ref ? document.components.requestBodies[nameOf(operation.requestBody.$ref)] : operation.requestBody;
    const body = sent?.content['application/json']?.schema;
    if (body) calls.push(`export type ${name}Body = ${typeOf(body, wanted)};`);
    const answers = Object.entries(operation.responses)
      .filter(([status]) => status.startsWith('2'))
      .map(([, answer]) => (answer.$ref ? document.components.responses[nameOf(answer.$ref)] : answer).content?.['application/json']?.schema)
      .map((schema) => (schema ? typeOf(schema, wanted) : 'undefined'));
    calls.push(`export type ${name}Answer = ${[...new Set(answers)].join(' | ')};`);
  }
}
const types = new Map();
for (const name of wanted) types.set(name, `export type ${name} = ${typeOf(document.components.schemas[name], wanted)};`); // a set that grows
writeFileSync(
  new URL('../src/server/schema.ts', here),
  ['// Made by tools/schema.mjs from docs/openapi.yaml.', ...[...types.keys()].sort().map((name) => types.get(name)), ...calls].join('\n\n') + '\n',
);
