// @platformatic/kafka: see README.md of this folder for the commands.
import { Admin, Consumer, Producer, MessagesStreamModes, stringDeserializers, stringSerializers, ProduceAcks, ConfigResourceTypes, IncrementalAlterConfigOperationTypes, ListOffsetTimestamps } from '@platformatic/kafka'

const [bootstrap, command, topic, ...rest] = process.argv.slice(2)
const base = { clientId: 'interop', bootstrapBrokers: bootstrap.split(','), retries: 200, retryDelay: 200 }
const say = (...words) => console.log(words.join(' '))
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

// A send keeps to the leader it knew when its connection fails (1.35.0), so a short send is asked for
// again with fresh metadata: only of the partitions it did not answer for, and with the same batches,
// so that their sequence numbers stay what they were.
async function produce (count, pause) {
  const producer = new Producer({ ...base, retries: 5, serializers: stringSerializers, idempotent: true })
  for (let n = 0; n < count; n += 10) {
    let messages = []
    for (let i = n; i < Math.min(n + 10, count); i++) messages.push({ topic, partition: i % 17 % 3, key: `k${i % 17}`, value: `${i}` })
    for (let attempt = 0; messages.length > 0; attempt++) {
      try {
        await producer.send({ messages, acks: ProduceAcks.ALL })
        messages = []
      } catch (error) {
        if (attempt === 60) throw error
        const produced = new Set((error.produced?.offsets ?? []).map(each => each.partition))
        messages = messages.filter(message => !produced.has(message.partition))
        producer.clearMetadata()
        await sleep(200)
      }
    }
    if (pause > 0) await sleep(pause)
  }
  await producer.close()
  say('acked', count)
}

async function consume (group, idle) {
  const consumer = new Consumer({ ...base, groupId: group, deserializers: stringDeserializers,
    sessionTimeout: 6000, rebalanceTimeout: 10000, heartbeatInterval: 500 })
  let last = Date.now()
  consumer.on('consumer:group:join', event => { say('assigned', JSON.stringify((event.assignments ?? []).flatMap(a => a.partitions))); last = Date.now() })
  const stream = await consumer.consume({ topics: [topic], autocommit: 200, mode: MessagesStreamModes.COMMITTED, fallbackMode: 'earliest' })
  stream.on('data', message => { say('v', message.value); last = Date.now() })
  while (Date.now() - last < idle * 1000) await sleep(100)
  await stream.close()
  await consumer.close(true)
  say('done')
}

async function admin (group) {
  const admin = new Admin(base)
  const created = await admin.createTopics({ topics: [topic], partitions: 3, replicas: 3 })
  await sleep(1000)
  say('partitions', created[0].partitions)
  const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic }
  await admin.incrementalAlterConfigs({ resources: [{ ...resource, configs: [{ name: 'retention.ms', configOperation: IncrementalAlterConfigOperationTypes.SET, value: '123456' }] }] })
  await sleep(1000) // any broker answers, once it has heard
  const configs = (await admin.describeConfigs({ resources: [resource] }))[0].configs
  say('config', configs.find(row => row.name === 'retention.ms').value)
  await produce(300, 0)
  await sleep(50)
  const middle = BigInt(Date.now())
  await sleep(50)
  await produce(300, 0)
  const offsets = async timestamp => (await admin.listOffsets({ topics: [{ name: topic,
    partitions: [0, 1, 2].map(partitionIndex => ({ partitionIndex, timestamp })) }] })).flatMap(each => each.partitions)
  const sum = listed => listed.map(each => Number(each.offset)).reduce((a, b) => a + b, 0)
  say('middle', sum(await offsets(middle)))
  say('end', sum(await offsets(ListOffsetTimestamps.LATEST)))
  await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 5n }] }] })
  say('low', (await offsets(ListOffsetTimestamps.EARLIEST)).find(each => each.partitionIndex === 0).offset)
  const groups = await admin.listGroups()
  say('listed', groups.has(group))
  const described = await admin.describeGroups({ groups: [group] })
  const state = described.get(group).state
  say('group', state.charAt(0) + state.slice(1).toLowerCase())
  await admin.deleteTopics({ topics: [topic] })
  await sleep(1000)
  say('deleted', !(await admin.listTopics()).includes(topic))
  await admin.close()
}

const run = { produce: () => produce(Number(rest[0]), Number(rest[1] ?? 0)),
  consume: () => consume(rest[0], Number(rest[1])), admin: () => admin(rest[0]) }[command]
run().then(() => process.exit(0), error => { console.error(error); process.exit(1) })
