// A checkout service as one is written by hand in an afternoon: reads the same message as Guerdon, computes the points of
// the two rules that apply in a few lines, and writes balance and order with one script.
//
// What it leaves out: telling a resend from a new order, so that one whose answer was lost counts twice; the rules that
// do not apply, and why; expiry; the ledger; what a return would need.
'use strict';

const path = require('node:path');
const { parseArgs } = require('node:util');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const Redis = require('ioredis');

const { values: args } = parseArgs({ options: { listen: { type: 'string' }, 'redis-url': { type: 'string' } } });

// Commands of calls that are under way go to Redis together: without it ioredis writes each by itself, which is dearer.
const redis = new Redis(args['redis-url'], { enableAutoPipelining: true });
redis.defineCommand('commit', {
  numberOfKeys: 2,
  lua: `
    local balance = redis.call('HINCRBY', KEYS[1], 'points', ARGV[1])
    redis.call('SET', KEYS[2], ARGV[2])
    return balance`,
});

// One point for each pound of the order, and another for each pound of what is in the category that counts twice.
function pointsOf(lines) {
  let all = 0;
  let doubled = 0;
  for (const line of lines) {
    all += line.amount_minor;
    if (line.categories.includes('category-3')) doubled += line.amount_minor;
  }
  return Math.floor(all / 100) + Math.floor(doubled / 100);
}

async function commit(call, answer) {
  try {
    const { member_id: member, order } = call.request;
    const points = pointsOf(order.lines);
    const record = JSON.stringify({ ...order, points });
    const balance = await redis.commit(`{${member}}:balance`, `{${member}}:order:${order.order_id}`, points, record);
    answer(null, {
      status: 'COMMIT_STATUS_COMMITTED',
      decision: { effects: [{ units_granted: { rule_id: 'base', unit: 'points', desired: points, granted: points } }] },
      balances: [{ unit: 'points', available: balance, lifetime_granted: balance }],
    });
  } catch (error) {
    answer({ code: grpc.status.UNAVAILABLE, details: error.message });
  }
}

const contract = loader.loadSync('guerdon/v1/checkout_service.proto', {
  includeDirs: [path.join(__dirname, '../../proto')],
  keepCase: true,
  longs: Number,
  enums: String,
  arrays: true,
});
const { CheckoutService } = grpc.loadPackageDefinition(contract).guerdon.v1;
const server = new grpc.Server();
server.addService(CheckoutService.service, { Commit: commit });
redis.once('ready', () => {
  server.bindAsync(args.listen, grpc.ServerCredentials.createInsecure(), (error) => {
    if (error) throw error;
  });
});
