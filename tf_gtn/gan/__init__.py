"""GANs whose generator sees how the discriminator would react: unrolled objectives, training, measures, GTN-GAN."""
