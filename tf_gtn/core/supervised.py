"""One supervised step of any optimiser on any functional model: what inner loops are made of."""

import tensorflow as tf


def cross_entropy(labels, logits):
    """Mean cross-entropy of one-hot or soft labels `[B, classes]` (GTN paper, A).

    Not `tf.nn.softmax_cross_entropy_with_logits`: the derivative of its gradient by the labels is missing, in silence
    (TensorFlow 2.21), and labels that a generator makes would not learn.
    """
    return -tf.reduce_mean(tf.reduce_sum(tf.cast(labels, logits.dtype) * tf.nn.log_softmax(logits), -1))


def initial_state(optimizer, params, model):
    """The state of an inner loop: `{"params", "slots", "model"}`, weights, optimiser slots and BatchNorm statistics."""
    return {"params": params, "slots": optimizer.init(params), "model": model}


def update(learner, optimizer, state, inputs, labels, hyper, loss_fn=cross_entropy):
    """One optimiser step of a `core.Functional` on one batch; returns the new state, and loss and outputs before it."""
    with tf.GradientTape() as tape:
        tape.watch(tf.nest.flatten(state["params"]))
        outputs, model = learner(state["params"], state["model"], inputs, training=True)
        loss = loss_fn(labels, outputs)
    gradients = tape.gradient(loss, state["params"], unconnected_gradients=tf.UnconnectedGradients.ZERO)
    params, slots = optimizer.update(gradients, state["slots"], state["params"], hyper)
    return {"params": params, "slots": slots, "model": model}, loss, outputs


def count_correct(predict, images, labels, chunk=1000):
    """How many `images` [n, ...] are classified as `labels` [n]: integer scalar; graph-safe, a chunk at a time.

    `predict` maps a chunk of images to logits or probabilities `[chunk, classes]`.
    """

    def body(start, count):
        stop = start + chunk
        predicted = tf.argmax(predict(images[start:stop]), -1, tf.int32)
        return stop, count + tf.math.count_nonzero(predicted == labels[start:stop], dtype=tf.int32)

    return tf.while_loop(lambda start, _: start < tf.shape(images)[0], body, (0, 0))[1]
