"""Counts user activity from Kafka in windows of one minute and prints the counts to the driver's log."""

import os

from pyspark.sql import SparkSession
from pyspark.sql.functions import col, count, window

BOOTSTRAP_SERVERS = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
TOPIC = os.environ.get("KAFKA_TOPIC", "streaming-topic")
CHECKPOINTS = os.environ.get("CHECKPOINT_LOCATION", "/tmp/user-activity-checkpoints")


def main() -> None:
    spark = SparkSession.builder.appName("user-activity-streaming").getOrCreate()

    events = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", BOOTSTRAP_SERVERS)
        .option("subscribe", TOPIC)
        .option("startingOffsets", "latest")
        # Messages are kept for ten minutes only: what expired before it was read is a gap, not a reason to stop.
        .option("failOnDataLoss", "false")
        .load()
        .select(col("timestamp"), col("partition"), col("value").cast("string").alias("event"))
    )

    counts = (
        events.withWatermark("timestamp", "2 minutes")
        .groupBy(window(col("timestamp"), "1 minute"), col("partition"))
        .agg(count("event").alias("events"))
    )

    (
        counts.writeStream.outputMode("update")
        .format("console")
        .option("truncate", "false")
        .option("checkpointLocation", CHECKPOINTS)
        .trigger(processingTime="10 seconds")
        .start()
        .awaitTermination()
    )


if __name__ == "__main__":
    main()
