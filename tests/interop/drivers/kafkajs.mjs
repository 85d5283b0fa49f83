// kafkajs: see README.md of this folder for the commands.
import kafkajs from 'kafkajs'

const { Kafka, logLevel, ConfigResourceTypes } = kafkajs

const [bootstrap, command, topic, ...rest] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'interop', brokers: bootstrap.split(','), logLevel: logLevel.NOTHING,
  retry: { retries: 12, initialRetryTime: 100, maxRetryTime: 2000 } })
const say = (...words) => console.log(words.join(' '))

async function produce (count, pause) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (let n = 0; n < count; n += 10) {
    const messages = []
    for (let i = n; i < Math.min(n + 10, count); i++) messages.push({ key: `k${i % 17}`, value: `${i}` })
    await producer.send({ topic, acks: -1, messages })
    if (pause > 0) await new Promise(resolve => setTimeout(resolve, pause))
  }
  await producer.disconnect()
  say('acked', count)
}

async function consume (group, idle) {
  const consumer = kafka.consumer({ groupId: group, sessionTimeout: 6000, heartbeatInterval: 500 })
  let last = Date.now()
  consumer.on(consumer.events.GROUP_JOIN, event => { say('assigned', JSON.stringify(event.payload.memberAssignment[topic] ?? [])); last = Date.now() })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ autoCommitInterval: 200, eachMessage: async ({ message }) => { say('v', message.value); last = Date.now() } })
  while (Date.now() - last < idle * 1000) await new Promise(resolve => setTimeout(resolve, 100))
  await consumer.disconnect()
  say('done')
}

async function admin (group) {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 3, replicationFactor: 3 }], waitForLeaders: true })
  say('partitions', (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length)
  const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
  await admin.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '123456' }] }] })
  await new Promise(resolve => setTimeout(resolve, 1000)) // any broker answers, once it has heard
  const described = await admin.describeConfigs({ resources: [{ ...resource, configNames: ['retention.ms'] }] })
  say('config', described.resources[0].configEntries[0].configValue)
  await produce(300, 0)
  await new Promise(resolve => setTimeout(resolve, 50))
  const middle = Date.now()
  await new Promise(resolve => setTimeout(resolve, 50))
  await produce(300, 0)
  const byTime = await admin.fetchTopicOffsetsByTimestamp(topic, middle)
  say('middle', byTime.map(p => Number(p.offset)).reduce((a, b) => a + b, 0))
  say('end', (await admin.fetchTopicOffsets(topic)).map(p => Number(p.high)).reduce((a, b) => a + b, 0))
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '5' }] })
  say('low', (await admin.fetchTopicOffsets(topic)).find(p => p.partition === 0).low)
  const listed = await admin.listGroups()
  say('listed', listed.groups.some(g => g.groupId === group))
  say('group', (await admin.describeGroups([group])).groups[0].state)
  await admin.deleteTopics({ topics: [topic] })
  say('deleted', !(await admin.listTopics()).includes(topic))
  await admin.disconnect()
}

const run = { produce: () => produce(Number(rest[0]), Number(rest[1] ?? 0)),
  consume: () => consume(rest[0], Number(rest[1])), admin: () => admin(rest[0]) }[command]
run().then(() => process.exit(0), error => { console.error(error); process.exit(1) })
