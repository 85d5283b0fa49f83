// franz-go: see README.md of this folder for the commands.
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func client(bootstrap string, options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append(options, kgo.SeedBrokers(strings.Split(bootstrap, ",")...))...)
	check(err)
	return made
}

func produce(bootstrap, topic string, count, pause int) {
	made := client(bootstrap, kgo.DefaultProduceTopic(topic), kgo.RecordDeliveryTimeout(60*time.Second))
	ctx := context.Background()
	for first := 0; first < count; first += 10 {
		var records []*kgo.Record
		for n := first; n < first+10 && n < count; n++ {
			records = append(records, &kgo.Record{Key: []byte(fmt.Sprintf("k%d", n%17)), Value: []byte(strconv.Itoa(n))})
		}
		check(made.ProduceSync(ctx, records...).FirstErr())
		time.Sleep(time.Duration(pause) * time.Millisecond)
	}
	made.Close()
	fmt.Println("acked", count)
}

func consume(bootstrap, topic, group string, idle float64) {
	made := client(bootstrap, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(500*time.Millisecond), kgo.AutoCommitInterval(200*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			fmt.Println("assigned", got[topic])
		}))
	last := time.Now()
	for time.Since(last).Seconds() < idle {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		fetched := made.PollFetches(ctx)
		cancel()
		fetched.EachRecord(func(record *kgo.Record) {
			fmt.Println("v", string(record.Value))
			last = time.Now()
		})
	}
	check(made.CommitUncommittedOffsets(context.Background()))
	made.Close()
	fmt.Println("done")
}

func admin(bootstrap, topic, group string) {
	made := client(bootstrap)
	adm := kadm.NewClient(made)
	ctx := context.Background()
	created, err := adm.CreateTopics(ctx, 3, 3, nil, topic)
	check(err)
	check(created.Error())
	time.Sleep(time.Second)
	topics, err := adm.ListTopics(ctx, topic)
	check(err)
	fmt.Println("partitions", len(topics[topic].Partitions))
	value := "123456"
	_, err = adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "retention.ms", Value: &value}}, topic)
	check(err)
	time.Sleep(time.Second) // any broker answers, once it has heard
	configs, err := adm.DescribeTopicConfigs(ctx, topic)
	check(err)
	for _, row := range configs[0].Configs {
		if row.Key == "retention.ms" {
			fmt.Println("config", row.MaybeValue())
		}
	}
	produce(bootstrap, topic, 300, 0)
	time.Sleep(50 * time.Millisecond)
	middle := time.Now().UnixMilli()
	time.Sleep(50 * time.Millisecond)
	produce(bootstrap, topic, 300, 0)
	listed, err := adm.ListOffsetsAfterMilli(ctx, middle, topic)
	check(err)
	sum := int64(0)
	listed.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	fmt.Println("middle", sum)
	ends, err := adm.ListEndOffsets(ctx, topic)
	check(err)
	sum = 0
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	fmt.Println("end", sum)
	var offsets kadm.Offsets = make(kadm.Offsets)
	offsets.AddOffset(topic, 0, 5, -1)
	_, err = adm.DeleteRecords(ctx, offsets)
	check(err)
	starts, err := adm.ListStartOffsets(ctx, topic)
	check(err)
	low, _ := starts.Lookup(topic, 0)
	fmt.Println("low", low.Offset)
	groups, err := adm.ListGroups(ctx)
	check(err)
	names := groups.Groups()
	sort.Strings(names)
	at := sort.SearchStrings(names, group)
	fmt.Println("listed", at < len(names) && names[at] == group)
	described, err := adm.DescribeGroups(ctx, group)
	check(err)
	fmt.Println("group", described[group].State)
	_, err = adm.DeleteTopics(ctx, topic)
	check(err)
	time.Sleep(time.Second)
	topics, err = adm.ListTopics(ctx)
	check(err)
	fmt.Println("deleted", !topics.Has(topic))
	made.Close()
}

func main() {
	bootstrap, command, topic, rest := os.Args[1], os.Args[2], os.Args[3], os.Args[4:]
	switch command {
	case "produce":
		count, _ := strconv.Atoi(rest[0])
		pause := 0
		if len(rest) > 1 {
			pause, _ = strconv.Atoi(rest[1])
		}
		produce(bootstrap, topic, count, pause)
	case "consume":
		idle, _ := strconv.ParseFloat(rest[1], 64)
		consume(bootstrap, topic, rest[0], idle)
	default:
		admin(bootstrap, topic, rest[0])
	}
}
