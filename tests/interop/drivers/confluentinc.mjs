// @confluentinc/kafka-javascript (librdkafka): see README.md of this folder for the commands.
import confluentinc from '@confluentinc/kafka-javascript'

const { Kafka, ErrorCodes, ConsumerGroupStates } = confluentinc.KafkaJS

const [bootstrap, command, topic, ...rest] = process.argv.slice(2)
const kafka = new Kafka({ kafkaJS: { clientId: 'interop', brokers: bootstrap.split(',') } })
const say = (...words) => console.log(words.join(' '))
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

async function produce (count, pause) {
  const producer = kafka.producer({ kafkaJS: { idempotent: true, acks: -1 } })
  await producer.connect()
  for (let n = 0; n < count; n += 10) {
    const messages = []
    for (let i = n; i < Math.min(n + 10, count); i++) messages.push({ key: `k${i % 17}`, value: `${i}` })
    await producer.send({ topic, messages })
    if (pause > 0) await sleep(pause)
  }
  await producer.disconnect()
  say('acked', count)
}

async function consume (group, idle) {
  let last = Date.now()
  const consumer = kafka.consumer({
    kafkaJS: { groupId: group, fromBeginning: true, autoCommitInterval: 200, sessionTimeout: 6000, heartbeatInterval: 500 },
    rebalance_cb: (error, parts) => {
      if (error.code !== ErrorCodes.ERR__ASSIGN_PARTITIONS) return
      say('assigned', JSON.stringify(parts.map(part => part.partition)))
      last = Date.now()
    }
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic] })
  await consumer.run({ eachMessage: async ({ message }) => { say('v', message.value); last = Date.now() } })
  while (Date.now() - last < idle * 1000) await sleep(100)
  await consumer.disconnect()
  say('done')
}

async function admin (group) {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: 3, replicationFactor: 3 }] })
  await sleep(1000)
  say('partitions', (await admin.fetchTopicMetadata({ topics: [topic] }))[0].partitions.length)
  await produce(300, 0)
  await sleep(50)
  const middle = Date.now()
  await sleep(50)
  await produce(300, 0)
  const byTime = await admin.fetchTopicOffsetsByTimestamp(topic, middle)
  say('middle', byTime.map(p => Number(p.offset)).reduce((a, b) => a + b, 0))
  say('end', (await admin.fetchTopicOffsets(topic)).map(p => Number(p.high)).reduce((a, b) => a + b, 0))
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '5' }] })
  say('low', (await admin.fetchTopicOffsets(topic)).find(p => p.partition === 0).low)
  say('listed', (await admin.listGroups()).groups.some(g => g.groupId === group))
  const { state } = (await admin.describeGroups([group])).groups[0]
  say('group', state === ConsumerGroupStates.EMPTY ? 'Empty' : state)
  await admin.deleteTopics({ topics: [topic] })
  await sleep(1000)
  say('deleted', !(await admin.listTopics()).includes(topic))
  await admin.disconnect()
}

const run = { produce: () => produce(Number(rest[0]), Number(rest[1] ?? 0)),
  consume: () => consume(rest[0], Number(rest[1])), admin: () => admin(rest[0]) }[command]
run().then(() => process.exit(0), error => { console.error(error); process.exit(1) })
