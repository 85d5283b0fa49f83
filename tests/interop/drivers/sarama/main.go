// sarama: see README.md of this folder for the commands.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func config() *sarama.Config {
	made := sarama.NewConfig()
	made.Version = sarama.V3_6_0_0
	made.Producer.Idempotent = true
	made.Producer.RequiredAcks = sarama.WaitForAll
	made.Producer.Return.Successes = true
	made.Producer.Retry.Max = 100
	made.Producer.Retry.Backoff = 200 * time.Millisecond
	made.Net.MaxOpenRequests = 1
	made.Consumer.Offsets.Initial = sarama.OffsetOldest
	made.Consumer.Offsets.AutoCommit.Interval = 200 * time.Millisecond
	made.Consumer.Group.Session.Timeout = 6 * time.Second
	made.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	made.Metadata.Retry.Max = 20
	return made
}

func produce(brokers []string, topic string, count, pause int) {
	producer, err := sarama.NewSyncProducer(brokers, config())
	check(err)
	for first := 0; first < count; first += 10 {
		var messages []*sarama.ProducerMessage
		for n := first; n < first+10 && n < count; n++ {
			messages = append(messages, &sarama.ProducerMessage{Topic: topic,
				Key: sarama.StringEncoder(fmt.Sprintf("k%d", n%17)), Value: sarama.StringEncoder(strconv.Itoa(n))})
		}
		check(producer.SendMessages(messages))
		time.Sleep(time.Duration(pause) * time.Millisecond)
	}
	check(producer.Close())
	fmt.Println("acked", count)
}

type member struct {
	mutex sync.Mutex
	last  time.Time
	topic string
}

func (m *member) seen() {
	m.mutex.Lock()
	m.last = time.Now()
	m.mutex.Unlock()
}

func (m *member) idle() float64 {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return time.Since(m.last).Seconds()
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	fmt.Println("assigned", session.Claims()[m.topic])
	m.seen()
	return nil
}
func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		fmt.Println("v", string(message.Value))
		session.MarkMessage(message, "")
		m.seen()
	}
	return nil
}

func consume(brokers []string, topic, group string, idle float64) {
	made, err := sarama.NewConsumerGroup(brokers, group, config())
	check(err)
	own := &member{last: time.Now(), topic: topic}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan bool)
	go func() {
		for ctx.Err() == nil {
			if err := made.Consume(ctx, []string{topic}, own); err != nil {
				time.Sleep(200 * time.Millisecond)
			}
		}
		over <- true
	}()
	for own.idle() < idle {
		time.Sleep(100 * time.Millisecond)
	}
	cancel()
	<-over
	check(made.Close())
	fmt.Println("done")
}

func admin(brokers []string, topic, group string) {
	adm, err := sarama.NewClusterAdmin(brokers, config())
	check(err)
	check(adm.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 3}, false))
	time.Sleep(time.Second)
	topics, err := adm.DescribeTopics([]string{topic})
	check(err)
	fmt.Println("partitions", len(topics[0].Partitions))
	value := "123456"
	check(adm.AlterConfig(sarama.TopicResource, topic, map[string]*string{"retention.ms": &value}, false))
	time.Sleep(time.Second) // any broker answers, once it has heard
	entries, err := adm.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic,
		ConfigNames: []string{"retention.ms"}})
	check(err)
	fmt.Println("config", entries[0].Value)
	produce(brokers, topic, 300, 0)
	time.Sleep(50 * time.Millisecond)
	moment := time.Now().UnixMilli()
	time.Sleep(50 * time.Millisecond)
	produce(brokers, topic, 300, 0)
	client, err := sarama.NewClient(brokers, config())
	check(err)
	middle, end := int64(0), int64(0)
	for part := int32(0); part < 3; part++ {
		offset, err := client.GetOffset(topic, part, moment)
		check(err)
		middle += offset
		offset, err = client.GetOffset(topic, part, sarama.OffsetNewest)
		check(err)
		end += offset
	}
	fmt.Println("middle", middle)
	fmt.Println("end", end)
	check(adm.DeleteRecords(topic, map[int32]int64{0: 5}))
	low, err := client.GetOffset(topic, 0, sarama.OffsetOldest)
	check(err)
	fmt.Println("low", low)
	groups, err := adm.ListConsumerGroups()
	check(err)
	_, listed := groups[group]
	fmt.Println("listed", listed)
	described, err := adm.DescribeConsumerGroups([]string{group})
	check(err)
	fmt.Println("group", described[0].State)
	check(adm.DeleteTopic(topic))
	time.Sleep(time.Second)
	all, err := adm.ListTopics()
	check(err)
	_, there := all[topic]
	fmt.Println("deleted", !there)
	check(adm.Close())
}

func main() {
	brokers, command, topic, rest := strings.Split(os.Args[1], ","), os.Args[2], os.Args[3], os.Args[4:]
	switch command {
	case "produce":
		count, _ := strconv.Atoi(rest[0])
		pause := 0
		if len(rest) > 1 {
			pause, _ = strconv.Atoi(rest[1])
		}
		produce(brokers, topic, count, pause)
	case "consume":
		idle, _ := strconv.ParseFloat(rest[1], 64)
		consume(brokers, topic, rest[0], idle)
	default:
		admin(brokers, topic, rest[0])
	}
}
